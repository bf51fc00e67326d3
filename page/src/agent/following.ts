/**
 * Following the thread, whoever changes it: this page, another tab, another browser, or the server itself.
 *
 * `client.js` follows it for as long as the page is seen. Its state fills the panels, and its frames the list of
 * operations. The conversation is the runtime's, which reads the response to each of its requests; so where a frame tells
 * of something that was in none of them, the runtime is to ask as well, and that is what `behind` says.
 */
import { useSyncExternalStore } from "react";
import { connect, type Options, type Run } from "statecast/client.js";
import { fail, failure, found, gone, lost } from "./failure";
import { take } from "../log/log";
import { server } from "../server/address";
import { Signal } from "./signal";
import type { DemoState } from "./state";
import { reopened, threadId } from "./thread";

type Frame = Parameters<NonNullable<Options["onFrame"]>>[0];

/** Whether the server has what the runtime has not read. */
export const behind = new Signal(reopened);

/** Whether the events are read at this moment. */
export const connected = new Signal(false);

/** The run whose stream the runtime reads, or has read; null if it broke. */
let read: string | null = null;
/** Whether a request of the runtime is under way. */
let busy = false;

const isUnderWay = (run: Run | null): boolean => run?.status === "running" || run?.status === "waiting";

const tellOf = (run: Run): void => {
  if (run.id === read) {
    // It waited, and another client let it go on.
    if (run.status === "running" && !busy) behind.set(true);
    return;
  }
  behind.set(true);
  if (run.error) failure.set({ kind: "failed", text: run.error.message });
};

/** Take a frame of the events; the snapshot of the thread is that before it. */
const onFrame = (frame: Frame): void => {
  const { run, cursor } = thread.getSnapshot();
  take(frame);
  switch (frame.type) {
    case "snapshot":
      if (frame["run"]) tellOf(frame["run"]);
      // A thread that the page has just made is in the response.
      if (!busy && !(cursor === null && frame["run"]?.id === read)) behind.set(true);
      break;
    case "update-state":
      if (!busy && !isUnderWay(run)) behind.set(true);
      break;
    case "run":
      tellOf(frame["run"]);
  }
};

const thread = connect<DemoState>(server, threadId, { onFrame });
const snapshot = new Signal(thread.getSnapshot());

/** Whether the thread is to be followed while the page is seen. */
let wanted = false;
let leave: (() => void) | undefined;
/** What broke the connection, or the last attempt to have one. */
let broken: Error | null = null;

const listen = (): void => {
  const now = thread.getSnapshot();
  snapshot.set(now);
  connected.set(now.connection === "open");
  switch (now.connection) {
    case "open":
      found();
      break;
    case "unknown":
      found();
      if (now.cursor !== null) gone();
      wanted = false;
      look();
      break;
    case "refused":
      if (now.error) fail(now.error);
      break;
    default:
      // A stream that ends is opened again at once; only where that fails is the server out of reach.
      if (now.error && broken && now.error !== broken) lost();
  }
  broken = now.error;
};

/** Follow the thread, or let go of it. A browser opens few connections to one server: a page that nobody sees has none. */
const look = (): void => {
  if (wanted && !document.hidden) {
    leave ??= thread.subscribe(listen);
    return;
  }
  leave?.();
  leave = undefined;
  connected.set(false);
};

document.addEventListener("visibilitychange", look);

/** Follow the thread from now on. */
export const follow = (): void => {
  wanted = true;
  look();
};

/** Return a part of the state, as far as the thread has been followed. */
export const useThreadState = <T,>(select: (state: DemoState) => T): T =>
  useSyncExternalStore(snapshot.subscribe, () => select(snapshot.get().state));

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
  follow();
};

/** The server was out of reach for it; what broke it may have broken the events unnoticed, so they are read anew. */
export const lostTouch = (): void => {
  leave?.();
  leave = undefined;
  connected.set(false);
  lost();
  setTimeout(missed); // a subscription that is renewed at once is the same
};

/** Stop the run that the runtime reads, else the one that is active. */
export const cancel = (): Promise<boolean> => thread.cancel(read === null ? {} : { runId: read });
