/**
 * Following the thread, whoever changes it: this page, another tab, another browser, or the server itself.
 *
 * `GET threads/{id}/events` stays open for as long as the page is seen, and is opened again, at the place it had come to,
 * whenever it breaks. It feeds the list of operations. The conversation is the runtime's, which reads the response to each
 * of its requests; so where the events tell of something that was in none of them, the runtime is to ask as well, and
 * that is what `behind` says.
 */
import { failure, found, gone, lost } from "./failure";
import { frames, type Frame } from "./frames";
import { record, type WireOperation } from "./operations";
import { Signal } from "./signal";
import { reopened, threadId } from "./thread";

/** Milliseconds between two attempts to reach the server. */
const RETRY = 1000;

type Run = { readonly id: string; readonly status: string; readonly error?: { readonly message: string } };
type Event =
  | { readonly type: "snapshot"; readonly state: unknown; readonly run?: Run }
  | { readonly type: "update-state"; readonly operations: readonly WireOperation[] }
  | { readonly type: "run"; readonly run: Run };

/** Whether the server has what the runtime has not read. */
export const behind = new Signal(reopened);

/** Whether the events are read at this moment. */
export const connected = new Signal(false);

/** The run whose stream the runtime reads, or has read; null if it broke. */
let read: string | null = null;
/** The run that the events told of last. */
let latest: Run | null = null;
/** Whether a request of the runtime is under way. */
let busy = false;

let cursor = "";
let following = false;
let attempt: AbortController | undefined;

export const runOnScreen = (): string | null => read;

/** A request of the runtime goes out. Its response will bring all that has been so far. */
export const asking = (): void => {
  busy = true;
  read = null;
};

/** The response to it belongs to this run. */
export const reading = (runId: string | null): void => {
  read = runId;
  behind.set(false);
};

/** It has ended, well or not. */
export const rested = (): void => {
  busy = false;
};

/** It broke off, so what came of it is not here. */
export const missed = (): void => {
  read = null;
  behind.set(true);
  void follow(null);
};

/** The server was out of reach for it; what broke it may have broken the events unnoticed. */
export const lostTouch = (): void => {
  missed();
  lost();
  attempt?.abort();
};

const isUnderWay = (run: Run | null): boolean => run?.status === "running" || run?.status === "waiting";

const tellOf = (run: Run): void => {
  latest = run;
  if (run.id === read) {
    // It waited, and another client let it go on.
    if (run.status === "running" && !busy) behind.set(true);
    return;
  }
  behind.set(true);
  if (run.error) failure.set({ kind: "failed", text: run.error.message });
};

const take = (frame: Frame): void => {
  const event = JSON.parse(frame.data) as Event;
  cursor = frame.cursor;
  switch (event.type) {
    case "snapshot":
      record({ type: "set", path: [], value: event.state });
      if (event.run) tellOf(event.run);
      if (!busy) behind.set(true);
      break;
    case "update-state":
      event.operations.forEach(record);
      if (!busy && !isUnderWay(latest)) behind.set(true);
      break;
    case "run":
      tellOf(event.run);
  }
};

/** Read the events until they break off; false if the server does not know the thread. */
const readEvents = async (): Promise<boolean> => {
  attempt = new AbortController();
  const place = cursor && `?cursor=${encodeURIComponent(cursor)}`;
  try {
    const response = await fetch(`threads/${threadId}/events${place}`, { signal: attempt.signal });
    if (response.ok || response.status === 404) found();
    if (response.status === 404) {
      if (cursor) gone();
      return false;
    }
    if (!response.ok || !response.body) throw new Error(`the server answered with status ${response.status}`);
    connected.set(true);
    for await (const frame of frames(response.body)) take(frame);
  } catch {
    // The next attempt will tell whether the server is there.
    if (!connected.get() && !document.hidden) lost();
  }
  connected.set(false);
  return true;
};

/** Resolve after a pause, or once the network is back, but not while nobody sees the page. */
const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      if (document.hidden) return;
      clearTimeout(timer);
      removeEventListener("online", done);
      document.removeEventListener("visibilitychange", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    addEventListener("online", done);
    document.addEventListener("visibilitychange", done);
  });

/** Follow the thread from a cursor on, or from its state as it is; no effect if it is followed already. */
export const follow = async (from: string | null): Promise<void> => {
  if (following) return;
  following = true;
  cursor = from ?? "";
  do await pause(attempt ? RETRY : 0);
  while (await readEvents());
  following = false;
};

// A browser opens few connections to one server: a page that nobody sees leaves its own to the others.
document.addEventListener("visibilitychange", () => document.hidden && attempt?.abort());
