/** The connection between this page and the agent. */
import { useAssistantTransportRuntime, type AssistantRuntime } from "@assistant-ui/react";
import { converter } from "./converter";
import { failure, giveBack, readable } from "./failure";
import { follow } from "./operations";
import type { DemoState } from "./state";
import { showInAddress, threadId } from "./thread";

/** One object for good: the hook builds its runtime anew for each it is given. */
type Options = Parameters<typeof useAssistantTransportRuntime<DemoState>>[0];

let runId: string | null = null;

/** An aborted request is all that the server would see of a stop, and runs outlive their requests: so ask. */
const cancel = async (): Promise<void> => {
  try {
    const response = await fetch("cancel", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ threadId, ...(runId !== null && { runId }) }),
    });
    if (!response.ok) throw new Error(`Status ${response.status}: ${await response.text()}`);
  } catch (error) {
    failure.set(`The run may go on: ${readable(error as Error)}`);
  }
};

const options: Options = {
  initialState: null,
  protocol: "assistant-transport",
  api: "assistant?protocol=assistant-transport",
  resumeApi: "resume?protocol=assistant-transport",
  capabilities: { edit: true },
  headers: {},
  body: { threadId },
  converter,
  prepareSendCommandsRequest: (body) => {
    failure.set(null);
    runId = null;
    return body;
  },
  onResponse: (response) => {
    if (!response.ok) return;
    runId = response.headers.get("Statecast-Run-Id");
    showInAddress();
    void follow(response.clone());
  },
  onError: (error, { commands }) => {
    failure.set(readable(error));
    giveBack(commands);
  },
  onCancel: ({ commands, error }) => {
    giveBack(commands);
    if (!error) void cancel();
  },
};

export const useAgentRuntime = (): AssistantRuntime => useAssistantTransportRuntime<DemoState>(options);
