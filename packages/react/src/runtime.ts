/** The runtime of assistant-ui: what it shows is the thread's, and what the user does is sent as commands. */
import {
  useExternalStoreRuntime,
  type AppendMessage,
  type AssistantRuntime,
  type AttachmentAdapter,
  type ExportedMessageRepository,
  type ExternalStoreThreadListAdapter,
  type FeedbackAdapter,
  type ThreadMessage,
} from "@assistant-ui/react";
import { useCallback, useMemo, useRef } from "react";
import type { Command } from "statecast/client.js";
import type { StoredMessage } from "statecast/react.js";
import { partsOf } from "./messages";

type Shown = {
  readonly repository: ExportedMessageRepository;
  readonly stored: readonly StoredMessage[];
  readonly isRunning: boolean;
  readonly isLoading: boolean;
  /** Whether another branch may be chosen now. */
  readonly canSwitch: boolean;
  readonly branchCommand: string | undefined;
  readonly send: (command: Command) => Promise<unknown>;
  readonly cancel: () => Promise<unknown>;
  readonly list: ExternalStoreThreadListAdapter;
  readonly attachments: AttachmentAdapter | undefined;
  readonly feedback: FeedbackAdapter;
};

/** Return a message of the user as a command has it. */
const messageOf = ({ content, attachments, metadata }: AppendMessage): StoredMessage & { readonly metadata?: object } => ({
  role: "user",
  parts: [...content, ...(attachments ?? []).flatMap((attachment) => attachment.content)],
  ...(Object.keys(metadata?.custom ?? {}).length > 0 && { metadata: { custom: metadata?.custom } }),
});

const textOf = (message: AppendMessage): string =>
  message.content.map((part) => (part.type === "text" ? part.text : "")).join("\n");

export function useRuntime(shown: Shown): { readonly runtime: AssistantRuntime; readonly retry: () => Promise<void> } {
  const { repository, stored, isRunning, isLoading, canSwitch, branchCommand, send, cancel, list, attachments, feedback } = shown;
  const made = useRef<AssistantRuntime>(undefined);

  /** Send a message; what the server refuses goes back to the composer, unless something new stands there. */
  const say = useCallback(
    async (message: AppendMessage, place: { parentId?: string | null; sourceId?: string | null } = {}) => {
      try {
        await send({ type: "add-message", message: messageOf(message), ...place });
      } catch {
        const composer = made.current?.thread.composer;
        if (composer && composer.getState().text === "") composer.setText(textOf(message));
      }
    },
    [send],
  );

  /** Have a message answered once more: the same message, under its id, from which on the server drops all. */
  const again = useCallback(
    async (from: number) => {
      const index = stored.findLastIndex(({ role }, at) => role === "user" && at <= from);
      const message = stored[index];
      if (message?.id === undefined) return;
      const parentId = stored[index - 1]?.id ?? null;
      const { id, role } = message;
      const command = { type: "add-message", message: { ...message, id, role, parts: partsOf(message) } };
      await send({ ...command, parentId, sourceId: id }).catch(() => {}); // it is reported
    },
    [stored, send],
  );
  const retry = useCallback(() => again(stored.length - 1), [again, stored.length]);

  const store = useMemo(
    () => ({
      messageRepository: repository,
      isRunning,
      isLoading,
      onNew: (message: AppendMessage) => say(message),
      onEdit: (message: AppendMessage) => {
        const { parentId, sourceId } = message;
        return say(message, { parentId, sourceId: sourceId ?? nextOf(stored, parentId) });
      },
      onReload: (parentId: string | null) => again(stored.findIndex(({ id }) => id === parentId)),
      onCancel: async () => void (await cancel().catch(() => {})),
      onAddToolResult: async (result: ToolResult) => {
        const { messageId, toolCallId, toolName, isError, artifact, modelContent } = result;
        const more = { ...(artifact !== undefined && { artifact }), ...(modelContent && { modelContent }) };
        const command = { type: "add-tool-result", messageId, toolCallId, toolName, result: result.result, isError, ...more };
        await send(command).catch(() => {});
      },
      onRespondToToolApproval: async ({ approvalId, ...answer }: Approval) => {
        await send({ type: "answer", answers: { [approvalId]: answer } }).catch(() => {});
      },
      // Called where the user turns to another branch: the last of these messages says which.
      ...(canSwitch &&
        branchCommand !== undefined && {
          setMessages: (chosen: readonly ThreadMessage[]) => {
            const messageId = chosen.at(-1)?.id ?? null;
            if (messageId !== repository.headId) void send({ type: branchCommand, messageId }).catch(() => {});
          },
        }),
      // The server queues, so the composer may send during a run; what waits is shown among the messages.
      queue: { ...QUEUE, enqueue: say, steer: say },
      adapters: { threadList: list, feedback, ...(attachments && { attachments }) },
      unstable_enableToolInvocations: true,
    }),
    [repository, stored, isRunning, isLoading, canSwitch, branchCommand, send, say, again, cancel, list, attachments, feedback],
  );
  const runtime = useExternalStoreRuntime<ThreadMessage>(store);
  made.current = runtime;
  return { runtime, retry };
}

type ToolResult = {
  readonly messageId: string;
  readonly toolCallId: string;
  readonly toolName: string;
  readonly result: unknown;
  readonly isError: boolean;
  readonly artifact?: unknown;
  readonly modelContent?: readonly unknown[] | undefined;
};

type Approval = { readonly approvalId: string; readonly approved: boolean; readonly [field: string]: unknown };

const QUEUE = { items: [], steerItems: [], move: () => {}, edit: () => {}, remove: () => {} };

/** Return the id of the message behind another one. */
const nextOf = (messages: readonly StoredMessage[], parentId: string | null): string | null => {
  const index = parentId === null ? 0 : messages.findIndex(({ id }) => id === parentId) + 1;
  return messages[index]?.id ?? null;
};
