/** The list of threads, read again while the page is seen, and whenever a run of this thread begins, waits or ends. */
import { Signal } from "../agent/signal";
import { at } from "./address";
import { change, get, remove, textOf } from "./requests";

/** A thread in the list. */
export type Summary = {
  readonly remoteId: string;
  readonly status: "regular" | "archived";
  readonly lastMessageAt: string;
  readonly createdAt: string;
  readonly title?: string;
  /** What its run is doing, if the server has the thread in memory. */
  readonly run?: { readonly id: string; readonly status: string };
};

/** `threads` is null until the first answer. */
export type Listed = { readonly threads: readonly Summary[] | null; readonly problem: string | null };

/** Milliseconds between two readings. */
const EVERY = 4_000;
/** Threads that are read, the latest first. */
const LIMIT = 200;

export const listed = new Signal<Listed>({ threads: null, problem: null });

/** Read the list again. */
export const readThreads = async (): Promise<void> => {
  try {
    const { threads } = await get<{ threads: readonly Summary[] }>(`threads?runs=true&limit=${LIMIT}`);
    const before = listed.get();
    if (before.problem !== null || JSON.stringify(before.threads) !== JSON.stringify(threads)) {
      listed.set({ threads, problem: null });
    }
  } catch (error) {
    listed.set({ threads: listed.get().threads, problem: textOf(error) });
  }
};

/** Delete a thread with all that it has. */
export const deleteThread = async (id: string): Promise<void> => {
  await remove(`threads/${encodeURIComponent(id)}`);
  await readThreads();
};

/** Give a thread a title. */
export const renameThread = async (id: string, title: string): Promise<void> => {
  await change(`threads/${encodeURIComponent(id)}`, { title });
  await readThreads();
};

/** Have the server give a thread a title: the agent's, else the first words of its first message. */
export const nameThread = async (id: string): Promise<void> => {
  const response = await fetch(at(`threads/${encodeURIComponent(id)}/title`), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  if (!response.ok) return; // it stays without one
  await response.text(); // it comes as it is made
  await readThreads();
};

/** Read the list for as long as the page is seen; returns what ends it. */
export const followThreads = (): (() => void) => {
  const look = (): void => {
    if (!document.hidden) void readThreads();
  };
  look();
  const timer = setInterval(look, EVERY);
  document.addEventListener("visibilitychange", look);
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", look);
  };
};
