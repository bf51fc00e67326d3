/** Messages in a runtime that sends nothing. */
import { AssistantRuntimeProvider, useExternalStoreRuntime, type ThreadMessage } from "@assistant-ui/react";
import { Messages } from "./messages";

const same = (message: ThreadMessage): ThreadMessage => message;
const nothing = (): Promise<void> => Promise.resolve();

export function ReadOnly({ messages }: { readonly messages: readonly ThreadMessage[] }) {
  const runtime = useExternalStoreRuntime({ messages, convertMessage: same, onNew: nothing, isDisabled: true });
  return (
    <AssistantRuntimeProvider runtime={runtime}>
      <Messages />
    </AssistantRuntimeProvider>
  );
}
