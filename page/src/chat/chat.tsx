/** The conversation: messages, what went wrong, and the composer. */
import { AuiIf, ThreadPrimitive } from "@assistant-ui/react";
import { useSession } from "../agent/session";
import { Composer } from "./composer";
import { EarlierMessages } from "./earlier-messages";
import { Messages } from "./messages";
import { OtherQuestions } from "./question";
import { RunError } from "./run-error";
import { Welcome } from "./welcome";

export function Chat() {
  const { state } = useSession();
  return (
    <ThreadPrimitive.Root asChild>
      <section className="chat" aria-label="Chat">
        <ThreadPrimitive.Viewport className="chat-viewport" scrollToBottomOnInitialize tabIndex={0}>
          <AuiIf condition={(s) => s.thread.messages.length === 0}>
            <Welcome />
          </AuiIf>
          <EarlierMessages state={state} />
          <div role="log" aria-label="Messages" aria-live="polite">
            <Messages />
          </div>
          <OtherQuestions />
        </ThreadPrimitive.Viewport>
        <RunError />
        <Composer />
      </section>
    </ThreadPrimitive.Root>
  );
}
