/** The messages of the runtime around them. */
import { ThreadPrimitive } from "@assistant-ui/react";
import { AssistantMessage } from "./assistant-message";
import { UserMessage } from "./user-message";

export function Messages() {
  return (
    <div className="messages">
      <ThreadPrimitive.Messages>
        {({ message }) => (message.role === "user" ? <UserMessage /> : <AssistantMessage />)}
      </ThreadPrimitive.Messages>
    </div>
  );
}
