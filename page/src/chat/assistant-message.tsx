/** A message of the agent, with a sign of life until its first part comes. */
import { AuiIf, MessagePrimitive } from "@assistant-ui/react";
import { Part } from "./part";

export function AssistantMessage() {
  return (
    <MessagePrimitive.Root className="message assistant" data-testid="message" data-role="assistant">
      <span className="visually-hidden">The agent said:</span>
      <MessagePrimitive.Parts>{({ part }) => <Part part={part} />}</MessagePrimitive.Parts>
      <AuiIf condition={(s) => s.message.parts.length === 0 && s.message.status?.type === "running"}>
        <span className="waiting" role="status" aria-label="The agent is at work">
          <i />
          <i />
          <i />
        </span>
      </AuiIf>
    </MessagePrimitive.Root>
  );
}
