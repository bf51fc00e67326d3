// A page for data_stream.mjs whose runtime is that of Assistant Cloud: an agent's runs by its id.

import { useState } from "react";
import { AssistantCloud } from "assistant-cloud";
import { useCloudRuntime } from "@assistant-ui/react-data-stream";

export const useBees = (baseUrl, assistantId) => {
  const [cloud] = useState(() => new AssistantCloud({ baseUrl, anonymous: true }));
  return useCloudRuntime({ cloud, assistantId });
};

export const Tools = () => null;
