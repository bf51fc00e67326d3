/**
 * From a thread to the messages that assistant-ui shows: those of its state, those that wait in the server's queue, and those
 * that are on their way there.
 *
 * A message that did not change keeps its converted form, so that only what grows is drawn again.
 */
import { fromThreadMessageLike, type MessageStatus, type ThreadMessage, type ThreadMessageLike } from "@assistant-ui/react";
import type { Part, Run, SentCommand, Snapshot } from "statecast/client.js";
import type { StoredMessage } from "statecast/react.js";

type Fields = { readonly [field: string]: unknown };
type Content = Exclude<ThreadMessageLike["content"], string>;
type AnyPart = Fields & { readonly type: string };

/** What a message says of itself beside its parts: fields that an agent's messages may have. */
type Stored = StoredMessage & {
  readonly status?: MessageStatus;
  readonly metadata?: NonNullable<ThreadMessageLike["metadata"]>;
  readonly createdAt?: unknown;
};

const RUNNING: MessageStatus = { type: "running" };
const ASKING: MessageStatus = { type: "requires-action", reason: "tool-calls" };
const COMPLETE: MessageStatus = { type: "complete", reason: "unknown" };
const CANCELLED: MessageStatus = { type: "incomplete", reason: "cancelled" };
const INTERRUPTED: MessageStatus = { type: "incomplete", reason: "other" };

const SHOWN = new Set(["text", "reasoning", "image", "file", "source", "data", "audio", "tool-call", "generative-ui"]);
const STOPPED = "Stopped before it had a result";

export const partsOf = ({ parts, content }: StoredMessage): readonly AnyPart[] =>
  (parts ?? (typeof content === "string" ? [{ type: "text", text: content }] : content) ?? []) as readonly AnyPart[];

/** Whether a part is a call that a client may give a result. */
export const isOpen = (part: AnyPart): boolean =>
  part.type === "tool-call" && part["result"] === undefined && part["cutOff"] !== true;

/** Return a part that assistant-ui can show: one of a type that it does not know is data under that name. */
const shownPart = (part: AnyPart): AnyPart => {
  if (part.type === "tool-call" && part["cutOff"] === true) return { ...part, result: STOPPED, isError: true };
  if (SHOWN.has(part.type) || part.type.startsWith("data-")) return part;
  return { type: "data", name: part.type, data: part };
};

const dateOf = (value: unknown): Date | undefined => {
  const date = typeof value === "string" || typeof value === "number" ? new Date(value) : undefined;
  return date && !Number.isNaN(date.getTime()) ? date : undefined;
};

const likeOf = (message: Stored, id: string): ThreadMessageLike => {
  const { role, metadata } = message;
  const content = partsOf(message).map(shownPart) as unknown as Content;
  const text = content.map((part) => ("text" in part ? part.text : "")).join("\n");
  const createdAt = dateOf(message.createdAt);
  return {
    id,
    role,
    content: role === "system" ? [{ type: "text", text }] : content,
    ...(createdAt && { createdAt }),
    ...(metadata && (role === "assistant" ? { metadata } : { metadata: { custom: metadata.custom ?? {} } })),
  };
};

const isSameStatus = (one: MessageStatus, other: MessageStatus): boolean =>
  one === other || (one.type === other.type && JSON.stringify(one) === JSON.stringify(other));

const converted = new WeakMap<StoredMessage, { readonly status: MessageStatus; readonly message: ThreadMessage }>();

export const convert = (message: StoredMessage, index: number, status: MessageStatus = COMPLETE): ThreadMessage => {
  const known = converted.get(message);
  if (known && (message.role !== "assistant" || isSameStatus(known.status, status))) return known.message;
  const id = message.id ?? `message-${index}`;
  const made = fromThreadMessageLike(likeOf(message as Stored, id), id, status);
  converted.set(message, { status, message: made });
  return made;
};

/** How the last answer stands, by its run. */
const statusOf = (message: StoredMessage, run: Run | null, isRunning: boolean): MessageStatus => {
  const own = (message as Stored).status;
  if (isRunning) return RUNNING;
  if (run?.error) return { type: "incomplete", reason: "error", error: run.error.message };
  if (partsOf(message).some(isOpen)) return ASKING;
  if (own) return own;
  if (run?.status === "cancelled") return CANCELLED;
  return run?.status === "interrupted" ? INTERRUPTED : COMPLETE;
};

/** Return the messages with the results that are on their way. */
const withResults = (messages: readonly StoredMessage[], commands: readonly SentCommand[]): readonly StoredMessage[] => {
  const results = new Map(
    commands.filter(({ type }) => type === "add-tool-result").map((command) => [command["toolCallId"], command]),
  );
  if (results.size === 0) return messages;
  const answered = (part: AnyPart): AnyPart => {
    const command = results.get(part["toolCallId"] as string);
    return command && isOpen(part) ? { ...part, result: command["result"] ?? null, isError: command["isError"] === true } : part;
  };
  return messages.map((message) => {
    const parts = partsOf(message);
    const isMeant = parts.some((part) => isOpen(part) && results.has(part["toolCallId"] as string));
    return isMeant ? { ...message, parts: parts.map(answered) } : message;
  });
};

type Sent = { readonly message: StoredMessage; readonly parentId: string | null; readonly sourceId: string | null };

const sentIn = (commands: readonly SentCommand[]): readonly Sent[] =>
  commands
    .filter(({ type }) => type === "add-message")
    .map((command) => ({
      message: command["message"] as unknown as StoredMessage,
      parentId: (command["parentId"] ?? null) as string | null,
      sourceId: (command["sourceId"] ?? null) as string | null,
    }));

const optimistic = new WeakMap<StoredMessage, Map<boolean, ThreadMessage>>();

/** Return a message that is not in the state yet; `queued`: the server has it, and a run goes on before it. */
const sentMessage = (message: StoredMessage, queued: boolean): ThreadMessage => {
  const both = optimistic.get(message) ?? new Map<boolean, ThreadMessage>();
  optimistic.set(message, both);
  const known = both.get(queued);
  if (known) return known;
  const id = message.id ?? "sent";
  const like = { ...likeOf(message, id), metadata: { custom: { queued } } };
  const made = fromThreadMessageLike({ ...like, metadata: { ...like.metadata, isOptimistic: true } }, id, RUNNING);
  both.set(queued, made);
  return made;
};

/** A message, the one it follows, and what it was made from. */
export type Shown = { readonly message: ThreadMessage; readonly stored: StoredMessage };

/** Return the conversation, in order. */
export function conversationOf<State>(
  { state, run, isRunning, parts, pending, queued }: Snapshot<State>,
  stored: readonly StoredMessage[],
): readonly Shown[] {
  const messages = withResults(state === null ? [] : stored, pending);
  const shown: Shown[] = messages.map((message, index) => {
    const isLast = index === messages.length - 1;
    const status = isLast && message.role === "assistant" ? statusOf(message, run, isRunning && parts.length === 0) : undefined;
    return { message: convert(message, index, status ?? (message as Stored).status), stored: message };
  });
  if (parts.length > 0 && run) {
    const emitted = emittedMessage(parts, run.id);
    shown.push({ message: convert(emitted, shown.length, statusOf(emitted, run, isRunning)), stored: emitted });
  }
  const waiting = queued.flatMap(({ commands }) => commands ?? []);
  const known = new Set(shown.map(({ message }) => message.id));
  for (const [commands, isQueued] of [[waiting, true], [pending, isRunning]] as const) {
    for (const { message, parentId, sourceId } of sentIn(commands)) {
      const isNew = message.id === undefined || !known.has(message.id);
      if (!isNew && sourceId === null) continue;
      // An edit takes the place of what follows its parent, once its turn comes.
      if (sourceId !== null && !isQueued) shown.length = shown.findIndex(({ message: { id } }) => id === parentId) + 1;
      if (message.id !== undefined) known.add(message.id);
      shown.push({ message: sentMessage(message, isQueued), stored: message });
    }
  }
  return shown;
}

const emitted = new WeakMap<readonly Part[], StoredMessage>();

/** Return what a run has said outside the state as a message. */
const emittedMessage = (parts: readonly Part[], runId: string): StoredMessage => {
  const known = emitted.get(parts);
  if (known) return known;
  const message: StoredMessage = { id: `parts-${runId}`, role: "assistant", parts };
  emitted.set(parts, message);
  return message;
};

/** Where a state has its messages unless the page says otherwise. */
export const usualMessages = (state: unknown): readonly StoredMessage[] | undefined => {
  const messages = (state as { readonly messages?: unknown } | null)?.messages;
  return Array.isArray(messages) ? (messages as readonly StoredMessage[]) : undefined;
};

export function messagesOf<State>(
  state: State | null,
  messages: (state: State) => readonly StoredMessage[] | undefined = usualMessages,
): readonly ThreadMessage[] {
  const stored = (state === null ? undefined : messages(state)) ?? [];
  return stored.map((message, index) => convert(message, index, (message as Stored).status));
}
