/** The conversation as it was at a revision: to read, and nothing in it can be sent. */
import type { ThreadMessage } from "@assistant-ui/react";
import { messagesOf } from "@statecast/react";
import { useMemo } from "react";
import { recentIn } from "../agent/recent";
import type { DemoState } from "../agent/state";
import { EarlierMessages } from "../chat/earlier-messages";
import { ReadOnly } from "../chat/read-only";
import type { Moment } from "../log/recording";
import { useEnd } from "./scroll";

/** Return the latest messages of a moment. Its run may have been at work on the last one, or have waited for its user. */
const messagesAt = ({ state, run }: Moment): readonly ThreadMessage[] => {
  const messages = messagesOf({ messages: recentIn(state as DemoState) });
  const last = messages.at(-1);
  if (last?.role !== "assistant") return messages;
  if (run?.status === "running") return [...messages.slice(0, -1), { ...last, status: { type: "running" } }];
  if (run?.status !== "waiting") return messages;
  return [...messages.slice(0, -1), { ...last, status: { type: "requires-action", reason: "tool-calls" } }];
};

export function PastChat({ moment }: { readonly moment: Moment }) {
  const messages = useMemo(() => messagesAt(moment), [moment]);
  const viewport = useEnd<HTMLDivElement>(messages);
  return (
    <section className="chat past" aria-label="Chat, as it was" data-testid="past-chat">
      <div {...viewport} className="chat-viewport" role="group" aria-label="Messages" tabIndex={0}>
        {messages.length === 0 && <p className="empty">There were no messages yet.</p>}
        <EarlierMessages state={moment.state as DemoState} />
        <fieldset disabled>
          <ReadOnly messages={messages} />
        </fieldset>
      </div>
    </section>
  );
}
