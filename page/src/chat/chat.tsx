/** The conversation: messages, what went wrong, and the composer. */
import { AuiIf, ThreadPrimitive } from "@assistant-ui/react";
import { AssistantMessage } from "./assistant-message";
import { Composer } from "./composer";
import { OtherQuestions } from "./question";
import { RunError } from "./run-error";
import { UserMessage } from "./user-message";
import { Welcome } from "./welcome";

/** The messages of the runtime around it. */
export function Messages() {
  return (
    <div className="messages" role="log" aria-label="Messages" aria-live="polite">
      <ThreadPrimitive.Messages>
        {({ message }) => (message.role === "user" ? <UserMessage /> : <AssistantMessage />)}
      </ThreadPrimitive.Messages>
    </div>
  );
}

export function Chat() {
  return (
    <ThreadPrimitive.Root asChild>
      <section className="chat" aria-label="Chat">
        <ThreadPrimitive.Viewport className="chat-viewport" scrollToBottomOnInitialize tabIndex={0}>
          <AuiIf condition={(s) => s.thread.messages.length === 0}>
            <Welcome />
          </AuiIf>
          <Messages />
          <OtherQuestions />
        </ThreadPrimitive.Viewport>
        <RunError />
        <Composer />
      </section>
    </ThreadPrimitive.Root>
  );
}
