/** From the agent's state, and the commands still on their way, to the messages that assistant-ui shows. */
import {
  fromThreadMessageLike,
  type AssistantTransportCommand,
  type AssistantTransportConnectionMetadata,
  type ThreadMessage,
  type ThreadMessageLike,
} from "@assistant-ui/react";
import { isAddMessage, isAddToolResult, type AddMessage } from "./commands";
import { wasSent } from "./delivery";
import type { DemoState, Json, Message, Part, ToolCallPart } from "./state";

type Status = NonNullable<ThreadMessageLike["status"]>;

const RUNNING: Status = { type: "running" };
const ASKING: Status = { type: "requires-action", reason: "tool-calls" };
const COMPLETE: Status = { type: "complete", reason: "unknown" };

const unanswered = (part: Part): boolean => part.type === "tool-call" && part.result === undefined && !part.cutOff;

/** A call that a stop has cut off is nobody's to answer any more. */
const settled = (part: Part): Part =>
  part.type === "tool-call" && part.cutOff ? { ...part, result: "Stopped before it had a result", isError: true } : part;

const statusOf = (message: Message, running: boolean): Status => {
  if (message.status) return message.status;
  if (running) return RUNNING;
  return message.parts.some(unanswered) ? ASKING : COMPLETE;
};

const toLike = ({ id, role, parts }: Message): ThreadMessageLike => ({
  id,
  role,
  content: parts.map(settled) as unknown as Exclude<ThreadMessageLike["content"], string>,
});

// A message that did not change keeps its converted form, so that only what grows is drawn again.
const converted = new WeakMap<Message, { readonly status: Status; readonly message: ThreadMessage }>();

const convert = (message: Message, running: boolean): ThreadMessage => {
  const status = statusOf(message, running);
  const known = converted.get(message);
  if (known?.status === status) return known.message;
  const fresh = fromThreadMessageLike(toLike(message), message.id, status);
  converted.set(message, { status, message: fresh });
  return fresh;
};

/** `queued`: it waits in the page until the run that is under way has ended. */
const pendingMessage = (command: AddMessage, index: number, queued: boolean): ThreadMessage =>
  fromThreadMessageLike(
    {
      id: `pending-${index}`,
      role: command.message.role,
      content: command.message.parts as Exclude<ThreadMessageLike["content"], string>,
      metadata: { isOptimistic: true, custom: { queued } },
    },
    `pending-${index}`,
    RUNNING,
  );

const withAnswers = (messages: readonly Message[], commands: readonly AssistantTransportCommand[]): readonly Message[] => {
  const answers = new Map(commands.filter(isAddToolResult).map((command) => [command.toolCallId, command]));
  if (answers.size === 0) return messages;
  const answer = (part: ToolCallPart): ToolCallPart => {
    const command = answers.get(part.toolCallId);
    return command ? { ...part, result: command.result as Json, isError: command.isError } : part;
  };
  return messages.map((message) => ({
    ...message,
    parts: message.parts.map((part) => (part.type === "tool-call" ? answer(part) : part)),
  }));
};

export const converter = (
  state: DemoState,
  { pendingCommands, isSending }: AssistantTransportConnectionMetadata,
): { messages: ThreadMessage[]; isRunning: boolean } => {
  const stored = withAnswers(state?.messages ?? [], pendingCommands);
  const last = stored.at(-1);
  // While a message is on its way, the last reply is not yet the one that grows.
  const growing = isSending && !pendingCommands.some(wasSent);
  const messages = stored.map((message) => convert(message, growing && message === last));
  pendingCommands.filter(isAddMessage).forEach((command, index) => {
    if (command.sourceId !== null) {
      // An edit replaces what follows its parent; `null` is the start of the thread.
      messages.length = messages.findIndex(({ id }) => id === command.parentId) + 1;
    }
    messages.push(pendingMessage(command, index, isSending && !wasSent(command)));
  });
  return { messages, isRunning: isSending };
};
