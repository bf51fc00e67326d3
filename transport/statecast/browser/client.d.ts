/** The types of `client.js`: a thread in a page. Source: docs/protocol/javascript-modules.md, "GET /client.js". */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** What one change did to a state. */
export type Operation =
  | { readonly type: "set"; readonly path: readonly string[]; readonly value: Json }
  | { readonly type: "append-text"; readonly path: readonly string[]; readonly value: string };

/** One execution of the agent. */
export type Run = {
  readonly id: string;
  readonly status: "queued" | "running" | "waiting" | "completed" | "failed" | "cancelled" | "interrupted";
  readonly error?: { readonly code: string; readonly message: string };
};

/** A run as the server remembers it. Times are milliseconds since 1970; null: it has not come to that. */
export type RunRecord = {
  readonly id: string;
  readonly agent: string;
  readonly status: Run["status"];
  readonly queuedAt: number | null;
  readonly startedAt: number | null;
  /** When its agent had made its first change. */
  readonly firstAt: number | null;
  readonly endedAt: number | null;
  /** Batches of operations that it appended to the log, and bytes of them. */
  readonly operations: number;
  readonly bytes: number;
  /** Model calls that the agent has reported, their tokens and what they cost. */
  readonly steps: number;
  readonly usage: { readonly inputTokens: number; readonly outputTokens: number } | null;
  readonly cost: number | null;
  /** The traceback is there only where the server is set to debug. */
  readonly error: { readonly code: string; readonly message: string; readonly traceback?: string } | null;
};

/** A part of a message that the run has emitted outside the state, as far as it has come. */
export type Part = { readonly type: string; readonly [field: string]: Json };

/** A command; an `id` is made where it has none. */
export type Command = { readonly type: string; readonly id?: string; readonly [field: string]: unknown };

/** A command as it goes on the wire. */
export type SentCommand = { readonly type: string; readonly id: string; readonly [field: string]: Json };

/** Commands that wait for their turn. The server leaves them out behind the first 64 KiB of a queue. */
export type QueuedBatch = { readonly runId: string; readonly commands?: readonly SentCommand[] };

/** A thread at a moment. It is frozen, and so is all that it holds; what is equal in the next one is the same object. */
export type Snapshot<State = Json> = {
  /** The thread's state; null until it has come. */
  readonly state: State | null;
  /** The run that is active, else the last one. */
  readonly run: Run | null;
  /** Whether that run is queued or running. One that waits for its user is not. */
  readonly isRunning: boolean;
  /** What that run has emitted outside the state. */
  readonly parts: readonly Part[];
  /** Commands that the server has accepted and will run when the active run has ended, in order. */
  readonly queued: readonly QueuedBatch[];
  /** How far the thread's log has come. */
  readonly revision: number;
  /** The same as a cursor; null until the state has come. */
  readonly cursor: string | null;
  /** Commands that were sent here and are not in the state yet, as far as that can be known. */
  readonly pending: readonly SentCommand[];
  /**
   * `idle`, nobody is subscribed; `connecting`, also for another time; `open`; `unknown`, there is no such thread yet;
   * `refused`, and not tried again until `reconnect` or `subscribe`; `closed`.
   */
  readonly connection: "idle" | "connecting" | "open" | "unknown" | "refused" | "closed";
  /** Why it is not open. */
  readonly error: Error | null;
};

export type Options = {
  /** Who answers on a new thread, where the server has several agents. */
  readonly agent?: string;
  /** Whether the thread is made here, by the first commands: so nothing is asked of the server before. True without an id. */
  readonly isNew?: boolean;
  /** Sent with every request, such as `Authorization`; a function is asked each time. Not on a WebSocket. */
  readonly headers?: HeadersInit | (() => HeadersInit | Promise<HeadersInit>);
  /** Whether to use a WebSocket for everything, or the class that makes one. */
  readonly webSocket?: boolean | (new (url: string) => WebSocket);
  /** Milliseconds without a byte after which a connection is taken for dead; 45,000 unless given. */
  readonly silence?: number;
  /** Makes the requests, for example with credentials. */
  readonly fetch?: typeof globalThis.fetch;
  /** Called with each frame of the events, before it is applied. It is not to be changed. */
  readonly onFrame?: (frame: { readonly type: string; readonly [field: string]: any }) => void;
};

/** Commands that the server has and keeps: they will be run, whatever becomes of the page. */
export type Accepted = {
  /** The run that they led to; null if it is over already, and no more is known of it. */
  readonly runId: string | null;
  /** A place in the log, not behind what comes of them. Over a WebSocket, what is applied at once is before it. */
  readonly cursor: string;
};

export type Thread<State = Json> = {
  readonly id: string;
  /** Return the thread as it is known: the same object until something changes. */
  readonly getSnapshot: () => Snapshot<State>;
  /** Follow the thread for as long as anyone is subscribed; returns what unsubscribes. */
  readonly subscribe: (listener: () => void) => () => void;
  /**
   * Send commands, and resolve when the server has accepted and kept them: once, however often it has to be tried.
   * A text is a message of the user. `fields` are those of a request beside the commands: `system`, `policy`, …
   *
   * Rejects with Refused, and with an AbortError where the thread is closed first.
   */
  readonly send: (
    commands: string | Command | readonly (string | Command)[],
    fields?: { readonly [field: string]: unknown },
  ) => Promise<Accepted>;
  /**
   * Stop the active run; resolves with whether there was one to stop. What was sent before is accepted first. `queued`
   * drops what waits behind it as well.
   */
  readonly cancel: (which?: { readonly runId?: string; readonly queued?: boolean }) => Promise<boolean>;
  /**
   * Make a new thread of what this one was at a revision; resolves with its id. An `id` that a thread has already is
   * refused with `thread_exists`.
   */
  readonly fork: (revision: number, id?: string) => Promise<string>;
  /**
   * Change the state back to what it was at a revision; resolves with the cursor after that. While a run is under way
   * it is refused with `run_active`, unless `cancel` stops the run.
   */
  readonly rewind: (revision: number, options?: { readonly cancel?: boolean }) => Promise<string>;
  /** Return the last runs of the thread, the newest first. Asks once, and rejects with what goes wrong. */
  readonly runs: () => Promise<readonly RunRecord[]>;
  /**
   * Run the commands of a run again that failed or was stopped, by default those of the last run; resolves with the id of
   * the new run. Asks once, and rejects with what goes wrong.
   */
  readonly retry: (runId?: string) => Promise<string>;
  /** Try again at once, also after a refusal. */
  readonly reconnect: () => void;
  /** Let go of everything, for good. */
  readonly close: () => void;
};

/**
 * Return a thread of a server. Nothing is asked of it before `subscribe` or `send`.
 *
 * `url` is the server's, with the path where it is mounted; an empty one is that of the page. Without a `threadId`, null,
 * the thread is a new one: its id is made here, and its first commands make it.
 */
export function connect<State = Json>(url: string, threadId: string | null, options?: Options): Thread<State>;

/**
 * Return what operations make of a state: frozen where it is new, and with all that did not change.
 *
 * @throws OperationError for what does not fit, and then nothing is applied.
 */
export function apply<State = Json>(state: State, operations: readonly Operation[]): State;

/** An operation that does not fit the state. */
export class OperationError extends Error {}

/** The server refused a request, which had no effect. */
export class Refused extends Error {
  /** Stable, for programs; the server's are listed in docs/protocol/errors.md, "Errors". */
  readonly code: string;
  /** The HTTP status. A WebSocket sends the one that the same request would have had. */
  readonly status: number;
  /** Further fields of the error, such as a limit. */
  readonly details: { readonly [field: string]: Json };
  /** Seconds until it is worth trying again; 0 if the server did not say. */
  readonly retryAfter: number;
  /** Whether another try may go well. */
  get isTransient(): boolean;
  /** Return what the server said, or the proxy before it; rejects where the connection broke before all was said. */
  static of(response: Response): Promise<Refused>;
}
