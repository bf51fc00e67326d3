/** The runtime of assistant-ui over a thread: what the thread holds is shown, what the user does is sent as commands. */
import {
  fromThreadMessageLike,
  useExternalStoreRuntime,
  type AppendMessage,
  type AssistantRuntime,
  type ExportedMessageRepository,
  type MessageStatus,
  type ThreadMessage,
  type ThreadMessageLike,
} from "@assistant-ui/react";
import { useMemo, useSyncExternalStore } from "react";
import { connect, type Command, type Run, type Snapshot } from "statecast";

type Content = Exclude<ThreadMessageLike["content"], string>;
type Message = { readonly id: string; readonly role: "user" | "assistant"; readonly parts: Content };
type Node = { readonly id: string; readonly parentId: string | null; readonly message: Message | null };
type State = { readonly messages: readonly Message[]; readonly branches: readonly Node[] };

// The thread's id stands in the address, so that a reload, or a second tab, comes to the same thread.
const address = new URL(location.href);
const reopened = address.searchParams.get("thread");
const threadId = reopened ?? Math.random().toString(36).slice(2);
address.searchParams.set("thread", threadId);
history.replaceState(null, "", address);

export const thread = connect<State>("", threadId, {
  isNew: reopened === null,
  webSocket: address.searchParams.has("socket"), // server-sent events and requests are as good
});

const COMPLETE: MessageStatus = { type: "complete", reason: "stop" };
const RUNNING: MessageStatus = { type: "running" };
const ASKING: MessageStatus = { type: "requires-action", reason: "tool-calls" };

/** What the last message of the assistant is, by how its run stands. */
const statusOf = (run: Run | null, isRunning: boolean): MessageStatus => {
  if (isRunning) return RUNNING;
  if (run?.status === "waiting") return ASKING;
  if (run?.error) return { type: "incomplete", reason: "error", error: run.error.message };
  return run?.status === "cancelled" ? { type: "incomplete", reason: "cancelled" } : COMPLETE;
};

// A message that did not change is the same object in the next snapshot, so it is converted once.
const converted = new WeakMap<Message, ThreadMessage>();
const convert = (message: Message, status: MessageStatus): ThreadMessage => {
  const known = converted.get(message);
  if (known && (known.role === "user" || known.status === status)) return known;
  const { id, role, parts } = message;
  const made = fromThreadMessageLike({ id, role, content: parts }, id, status);
  converted.set(message, made);
  return made;
};

let last: readonly Node[] = []; // of the snapshot before, oldest first

/** All messages: of the conversation, of the other branches, and those that were sent and are not in the state yet. */
const repositoryOf = ({ state, run, isRunning, pending }: Snapshot<State>): ExportedMessageRepository => {
  const messages = state?.messages ?? [];
  // What an edit drops is missing until its run has noted it. It stays, or it would come back as the newest branch.
  const known = new Map((isRunning ? last : []).map((node) => [node.id, node]));
  for (const node of state?.branches ?? []) {
    known.set(node.id, { ...node, message: node.message ?? known.get(node.id)?.message ?? null });
  }
  messages.forEach((message, index) => {
    known.set(message.id, { id: message.id, parentId: messages[index - 1]?.id ?? null, message });
  });
  const nodes = [...known.values()];
  last = nodes.slice();
  let headId = messages.at(-1)?.id ?? null;
  for (const command of pending) {
    const message = command["message"] as Message | undefined;
    if (!message || known.has(message.id)) continue;
    const parentId = command["parentId"] as string | null | undefined;
    nodes.push({ id: message.id, parentId: parentId === undefined ? headId : parentId, message });
    headId = message.id;
  }
  // Parents first, as the runtime wants them.
  const children = new Map<string | null, Node[]>();
  for (const node of nodes) children.set(node.parentId, [...(children.get(node.parentId) ?? []), node]);
  const items: ExportedMessageRepository["messages"] = [];
  const stack = [...(children.get(null) ?? [])].reverse();
  for (let node = stack.pop(); node; node = stack.pop()) {
    const { message } = node;
    if (!message) continue;
    const isLast = message === messages.at(-1);
    items.push({ message: convert(message, isLast ? statusOf(run, isRunning) : COMPLETE), parentId: node.parentId });
    stack.push(...[...(children.get(node.id) ?? [])].reverse());
  }
  return { headId, messages: items };
};

const partsOf = ({ content, attachments }: AppendMessage) => [
  ...content,
  ...(attachments ?? []).flatMap((attachment) => attachment.content),
];

const send = async (command: Command): Promise<void> => {
  await thread.send(command).catch((error: Error) => alert(error.message)); // Refused: it had no effect
};

export function useThread(): Snapshot<State> {
  return useSyncExternalStore(thread.subscribe, thread.getSnapshot);
}

export function useThreadRuntime(): AssistantRuntime {
  const snapshot = useThread();
  const messages = snapshot.state?.messages ?? [];
  const repository = useMemo(() => repositoryOf(snapshot), [snapshot]);
  return useExternalStoreRuntime<ThreadMessage>({
    messageRepository: repository,
    isLoading: snapshot.cursor === null && snapshot.connection === "connecting",
    isRunning: snapshot.isRunning || snapshot.pending.some(({ type }) => type !== "show-branch"),
    onNew: (message) => send({ type: "add-message", message: { role: "user", parts: partsOf(message) } }),
    onEdit: (message) => {
      const { parentId, sourceId } = message;
      return send({ type: "add-message", message: { role: "user", parts: partsOf(message) }, parentId, sourceId });
    },
    // The same message once more, under its id: what follows it is dropped, and it is answered again.
    onReload: async (id) => {
      const index = messages.findIndex((message) => message.id === id);
      const message = messages[index];
      const parentId = messages[index - 1]?.id ?? null;
      if (message) await send({ type: "add-message", message, parentId, sourceId: message.id });
    },
    // Called where the user turns to another branch: the last of these messages says which.
    setMessages: (chosen) => {
      const messageId = chosen.at(-1)?.id ?? null;
      if (messageId !== repository.headId) void send({ type: "show-branch", messageId });
    },
    onCancel: async () => void (await thread.cancel()),
    onAddToolResult: ({ toolCallId, toolName, result, isError }) =>
      send({ type: "add-tool-result", toolCallId, toolName, result, isError }),
  });
}
