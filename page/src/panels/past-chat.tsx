/** The conversation as it was at a revision: to read, and nothing in it can be sent. */
import { AssistantRuntimeProvider, ThreadPrimitive, useExternalStoreRuntime, type ThreadMessage } from "@assistant-ui/react";
import { messagesOf } from "@statecast/react";
import { useMemo } from "react";
import type { DemoState } from "../agent/state";
import { Messages } from "../chat/chat";
import type { Moment } from "../log/recording";

const same = (message: ThreadMessage): ThreadMessage => message;
const nothing = (): Promise<void> => Promise.resolve();

/** Return the messages of a moment. Its run may have been at work on the last one, or have waited for its user. */
const messagesAt = ({ state, run }: Moment): readonly ThreadMessage[] => {
  const messages = messagesOf(state as DemoState);
  const last = messages.at(-1);
  if (last?.role !== "assistant") return messages;
  if (run?.status === "running") return [...messages.slice(0, -1), { ...last, status: { type: "running" } }];
  if (run?.status !== "waiting") return messages;
  return [...messages.slice(0, -1), { ...last, status: { type: "requires-action", reason: "tool-calls" } }];
};

export function PastChat({ moment }: { readonly moment: Moment }) {
  const messages = useMemo(() => messagesAt(moment), [moment]);
  const runtime = useExternalStoreRuntime({ messages, convertMessage: same, onNew: nothing, isDisabled: true });
  return (
    <AssistantRuntimeProvider runtime={runtime}>
      <ThreadPrimitive.Root asChild>
        <section className="chat past" aria-label="Chat, as it was" data-testid="past-chat">
          <ThreadPrimitive.Viewport className="chat-viewport" tabIndex={0}>
            {messages.length === 0 && <p className="empty">There were no messages yet.</p>}
            <fieldset disabled>
              <Messages />
            </fieldset>
          </ThreadPrimitive.Viewport>
        </section>
      </ThreadPrimitive.Root>
    </AssistantRuntimeProvider>
  );
}
