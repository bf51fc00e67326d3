/** The types of `adapters.js`: the adapters of assistant-ui's runtimes. Source: docs/guides/threads-and-history.md. */

import type {
  AttachmentAdapter,
  ChatModelRunOptions,
  ChatModelRunResult,
  FeedbackAdapter,
  RemoteThreadListAdapter,
  SuggestionAdapter,
  ThreadHistoryAdapter,
  ThreadMessage,
} from "@assistant-ui/react";

/** What a thread is in a page's list, as far as adapters ask for it: `useAui().threadListItem` is one. */
export type ThreadListItem = {
  /** `remoteId` is the id under which the server has the thread; undefined as long as it is new. */
  readonly getState: () => { readonly id: string; readonly remoteId?: string | undefined };
  readonly initialize: () => Promise<{ readonly remoteId: string }>;
};

/** A thread, by its id, or as an item of the page's list, which is asked for each time. */
export type Thread = string | (() => ThreadListItem);

/** What assistant-ui's `useAui` returns, as far as adapters ask for it. */
export type Aui = {
  readonly threadListItem: ThreadListItem;
  readonly threads: {
    readonly getState: () => { readonly threadItems: readonly { readonly id: string }[] };
    readonly item: (which: { id: string }) => ThreadListItem;
  };
};

export type Options = {
  /** The server's, with the path where it is mounted; an empty one, or none, is that of the page. */
  readonly url?: string;
  /** Sent with every request, such as `Authorization`; a function is asked each time. */
  readonly headers?: HeadersInit | (() => HeadersInit | Promise<HeadersInit>);
  /** Makes the requests, for example with credentials. */
  readonly fetch?: typeof globalThis.fetch;
  /** Milliseconds for which a request is tried again that got no answer; 10,000 unless given. */
  readonly patience?: number;
  /** Which files may be attached, as in the `accept` of an input; all unless given. */
  readonly accept?: string;
  /** Where a state has its messages; under `messages` unless given. */
  readonly messages?: (state: any) => readonly { readonly [field: string]: any }[] | undefined;
  /** Called where nobody else is told of a failure, which is with feedback; `console.error` unless given. */
  readonly onError?: (error: unknown) => void;
};

/** What a thread has of its own; what `useLocalRuntime` takes as its `adapters`. */
export type ThreadAdapters = {
  readonly history: History;
  readonly attachments: AttachmentAdapter;
  readonly feedback: FeedbackAdapter;
  readonly suggestion: Suggestions;
};

/** A history of which nothing is missing. */
export type History = Required<ThreadHistoryAdapter>;

export type Suggestions = {
  /** Yields the suggestions that are known by then, each time all of them. */
  readonly generate: (options: {
    messages: readonly ThreadMessage[];
    signal?: AbortSignal;
  }) => Extract<ReturnType<SuggestionAdapter["generate"]>, AsyncGenerator>;
};

/** A list of threads of which nothing is missing. */
export type ThreadList = RemoteThreadListAdapter & Required<Pick<RemoteThreadListAdapter, "updateCustom" | "unarchive">>;

/** Asks the server for answers, and follows them, whatever becomes of the connection. */
export type ChatModel = {
  readonly run: (options: ChatModelRunOptions) => AsyncGenerator<ChatModelRunResult, void>;
};

export type Adapters = {
  /** What a page with a list of threads needs. `useAui` is assistant-ui's hook. */
  readonly hooks: (useAui: () => Aui) => {
    /** For `useRemoteThreadListRuntime`: the list, with `thread(…)` for each of its threads. */
    readonly adapter: ThreadList;
    /** To be used in its `runtimeHook`: the model of the thread that it is called for. */
    readonly useChatModel: () => ChatModel;
  };
  /** The list, without what each thread has. */
  readonly threadList: ThreadList;
  /** All that a thread has. */
  readonly thread: (thread: Thread) => ThreadAdapters;
  /** What `useLocalRuntime` asks for answers. */
  readonly chatModel: (thread: Thread) => ChatModel;
  readonly history: (thread: Thread) => History;
  readonly attachments: AttachmentAdapter;
  readonly feedback: (thread: Thread) => FeedbackAdapter;
  readonly suggestions: (thread: Thread) => Suggestions;
};

/**
 * Return the adapters for a server. Nothing is asked of it before they are used.
 *
 * What the server refuses is a `Refused` of client.js, an Error with a `status` and a `code`. What gets no answer is tried
 * again for as long as `patience` says, but for uploads and for what makes an answer; then what `fetch` throws is thrown.
 */
export function createAdapters(options?: Options): Adapters;
