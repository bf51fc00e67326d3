/** The types of `react.js`: a thread as a React hook, with a runtime for assistant-ui. Source: docs/guides/react.md. */

import type { Assistant, AssistantRuntime, ThreadMessage } from "@assistant-ui/react";
import type { Accepted, Command, Json, Options as ClientOptions, Part, QueuedBatch, Run, SentCommand, Thread } from "./client.js";

export type { Accepted, Command, Json, Part, QueuedBatch, Run, SentCommand, Thread } from "./client.js";
export { Refused } from "./client.js";

/** A message in an agent's state: with `parts`, or with assistant-ui's `content`. */
export type StoredMessage = {
  readonly id?: string;
  readonly role: "user" | "assistant" | "system";
  readonly parts?: readonly { readonly type: string }[];
  readonly content?: string | readonly { readonly type: string }[];
};

/** A message of any branch, as `state.branches` has it: `message` is null while it is in the conversation. */
export type Branch = {
  readonly id: string;
  readonly parentId: string | null;
  readonly message?: StoredMessage | null;
};

/** A choice that a question offers. */
export type QuestionOption = {
  readonly id: string;
  readonly label?: string;
  readonly description?: string;
  readonly kind?: string;
};

/** What the agent wants to know: a question of its own, or a call of a tool of the page that has no result. */
export type Question = {
  readonly id: string;
  /** `approval`: yes or no, or one of `options`; `choice`: one of `options`; `text`; `input`: what fits `schema`. */
  readonly kind: "approval" | "choice" | "text" | "input";
  readonly prompt: string | undefined;
  readonly options: readonly QuestionOption[];
  /** The JSON Schema of an `input`, if there is one. */
  readonly schema: { readonly [keyword: string]: unknown } | undefined;
  /** What else the agent shows with the question. */
  readonly details: unknown;
  /** The call that the question is about, or is. */
  readonly call: { readonly id: string; readonly name: string; readonly args: unknown } | undefined;
  /** Answer it: a boolean, the id of an option, a text, or a value that fits the schema. */
  readonly answer: (value: unknown) => Promise<void>;
  /** Refuse to answer. */
  readonly decline: () => Promise<void>;
};

/** A thread in the list. */
export type ThreadSummary = {
  readonly id: string;
  readonly title: string | undefined;
  readonly status: "regular" | "archived";
  readonly lastMessageAt: Date | undefined;
  readonly custom: unknown;
};

/** The list of threads, the one with the latest message first. It is empty without the option `threads`. */
export type Threads = {
  readonly items: readonly ThreadSummary[];
  readonly isLoading: boolean;
  /** Whether the server has more of them. */
  readonly hasMore: boolean;
  readonly loadMore: () => Promise<void>;
  readonly reload: () => Promise<void>;
  readonly rename: (id: string, title: string) => Promise<void>;
  readonly archive: (id: string) => Promise<void>;
  readonly unarchive: (id: string) => Promise<void>;
  readonly delete: (id: string) => Promise<void>;
  /** Open a thread; another one than `threadId` names, if the page does not set that. */
  readonly open: (id: string) => void;
  /** Open a new one. */
  readonly create: () => void;
};

/** What an agent declares, as `statecast types` writes it; any JSON where nothing is declared. */
export type DeclaredState = [keyof Assistant.ExternalState] extends [never]
  ? Json
  : Assistant.ExternalState[keyof Assistant.ExternalState];

/** The commands that an agent declares, likewise. */
export type DeclaredCommands = [keyof Assistant.Commands] extends [never]
  ? Command
  : Assistant.Commands[keyof Assistant.Commands];

/** The commands that every agent knows. */
export type BuiltInCommand =
  | {
      readonly type: "add-message";
      readonly id?: string;
      readonly message: { readonly id?: string; readonly role: "user"; readonly parts: readonly { readonly type: string }[] };
      readonly parentId?: string | null;
      readonly sourceId?: string | null;
    }
  | {
      readonly type: "add-tool-result";
      readonly id?: string;
      readonly toolCallId: string;
      readonly toolName: string;
      readonly messageId?: string;
      readonly result: unknown;
      readonly isError?: boolean;
      readonly artifact?: unknown;
      readonly modelContent?: readonly unknown[];
    }
  | { readonly type: "answer"; readonly id?: string; readonly answers: { readonly [questionId: string]: unknown } };

export type Options<State = DeclaredState> = {
  /** The server's, with the path where it is mounted; an empty one, or none, is that of the page. */
  readonly url?: string | undefined;
  /** The thread to show. Without one the hook makes an id, and opens other threads by itself. */
  readonly threadId?: string | undefined;
  /** Whether the page has made `threadId` up, and the server does not know it: so nothing is asked before something is sent. */
  readonly isNew?: boolean | undefined;
  /** Called where the user opens another thread. With `threadId` the page then sets that. */
  readonly onThreadChange?: ((threadId: string) => void) | undefined;
  /** Keep the id in this parameter of the page's address, so that a reload or a second tab opens the same thread. */
  readonly urlParam?: string | undefined;
  /** Sent with every request, such as `Authorization`; a function is asked each time. */
  readonly headers?: ClientOptions["headers"] | undefined;
  /** Makes the requests, for example with credentials. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** Who answers on a new thread, where the server has several agents. */
  readonly agent?: string | undefined;
  /** Use a WebSocket for the thread. A browser sends no `headers` with it. */
  readonly webSocket?: boolean | undefined;
  /** Keep a list of threads, for assistant-ui's components and as `threads`. */
  readonly threads?: boolean | undefined;
  /** Let users attach files; a text says which, as in the `accept` of an input. */
  readonly attachments?: boolean | string | undefined;
  /** Where a state has its messages; under `messages` unless given. */
  readonly messages?: ((state: State) => readonly StoredMessage[] | undefined) | undefined;
  /** Where a state has its open questions; under `pending` unless given. */
  readonly pending?: ((state: State) => readonly unknown[] | undefined) | undefined;
  /** The command that shows another branch, such as `show-branch`, of an agent that keeps `branches`. */
  readonly branchCommand?: string | undefined;
  /** Fields of each request beside the commands: `policy`, `system`, … */
  readonly fields?: { readonly [field: string]: unknown } | undefined;
  /** Called where the server refuses what the user does. */
  readonly onError?: ((error: Error) => void) | undefined;
  /** Called with each frame of the thread's events, before it is applied. */
  readonly onFrame?: ClientOptions["onFrame"] | undefined;
};

export type Statecast<State = DeclaredState, Commands extends { readonly type: string } = DeclaredCommands> = {
  /** For assistant-ui: `<AssistantRuntimeProvider runtime={runtime}>`. */
  readonly runtime: AssistantRuntime;
  /** The thread's state, frozen; null until it has come. What is equal in the next one is the same object. */
  readonly state: State | null;
  /** The run that is active, else the last one. */
  readonly run: Run | null;
  /** Whether it is queued or running, or commands are on their way. */
  readonly isRunning: boolean;
  /** Send a message or commands, and resolve when the server has accepted and kept them. Rejects with Refused. */
  readonly send: (
    commands: string | Commands | BuiltInCommand | readonly (string | Commands | BuiltInCommand)[],
    fields?: { readonly [field: string]: unknown },
  ) => Promise<Accepted>;
  /** Stop the active run; resolves with whether there was one. */
  readonly cancel: () => Promise<boolean>;
  /** Run the commands of the last run again if it failed or was stopped, else answer the last message of the user again. */
  readonly retry: () => Promise<void>;
  /** What the agent wants to know before it goes on. */
  readonly questions: readonly Question[];
  readonly threads: Threads;
  readonly threadId: string;
  /** What was sent, and is neither in the state nor in the queue yet. */
  readonly pending: readonly SentCommand[];
  /** What the server will run when the active run has ended. */
  readonly queued: readonly QueuedBatch[];
  /** What the run has emitted outside the state. */
  readonly parts: readonly Part[];
  readonly revision: number;
  readonly connection: "idle" | "connecting" | "open" | "unknown" | "refused" | "closed";
  /** What was refused last, until something is sent, or `dismiss`; else why the connection is not open. */
  readonly error: Error | null;
  readonly dismiss: () => void;
  /** The thread of client.js. */
  readonly thread: Thread<State>;
};

/**
 * Follow a thread of a server, and return its state, what changes it, and a runtime for assistant-ui.
 *
 * Nothing is asked of the server while the page is rendered on a server.
 */
export function useStatecast<State = DeclaredState, Commands extends { readonly type: string } = DeclaredCommands>(
  options?: Options<State>,
): Statecast<State, Commands>;

/** Return the messages of a state in assistant-ui's form, such as for `ReadonlyThreadProvider`. */
export function messagesOf<State = DeclaredState>(
  state: State | null,
  messages?: (state: State) => readonly StoredMessage[] | undefined,
): readonly ThreadMessage[];
