import { AuiIf, ComposerPrimitive, MessagePrimitive, ThreadPrimitive } from "@assistant-ui/react";
import type { ReactNode } from "react";

/** The conversation, then `children`, then the field for the next message. */
export function Chat({ children }: { children: ReactNode }) {
  return (
    <ThreadPrimitive.Root>
      <ThreadPrimitive.Messages>
        {({ message }) => (
          <MessagePrimitive.Root className={message.role}>
            <MessagePrimitive.Parts>
              {({ part }) => (part.type === "text" ? <p>{part.text}</p> : null)}
            </MessagePrimitive.Parts>
          </MessagePrimitive.Root>
        )}
      </ThreadPrimitive.Messages>
      {children}
      <ComposerPrimitive.Root className="row">
        <ComposerPrimitive.Input placeholder="What are you inviting to?" />
        <AuiIf condition={(s) => s.thread.isRunning}>
          <ComposerPrimitive.Cancel>Stop</ComposerPrimitive.Cancel>
        </AuiIf>
        <AuiIf condition={(s) => !s.thread.isRunning}>
          <ComposerPrimitive.Send>Send</ComposerPrimitive.Send>
        </AuiIf>
      </ComposerPrimitive.Root>
    </ThreadPrimitive.Root>
  );
}
