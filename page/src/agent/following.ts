/**
 * Keeping up with what others do to the thread: other tabs, other clients, and the server itself.
 *
 * Whatever tells that the server knows more than this page sets `behind`. Once the page is at rest it then asks where the
 * thread stands, and follows what still comes.
 */
import { Signal } from "./signal";
import { inAddress, reopened, threadId } from "./thread";

export const behind = new Signal(reopened);

/** The run whose stream this page read last; null if it broke. */
let runId: string | null = null;

export const latestRun = (): string | null => runId;

type News = { readonly threadId: string; readonly runId: string };

// Tabs of one browser tell each other; the rest is found out when the tab is looked at again.
const tabs = new BroadcastChannel("statecast");

/** Note the run that a response belongs to; `started` if this page asked for it. */
export const noteRun = (id: string | null, started: boolean): void => {
  runId = id;
  if (started && id !== null) tabs.postMessage({ threadId, runId: id } satisfies News);
};

const lookAgain = async (): Promise<void> => {
  if (document.hidden || !inAddress()) return;
  try {
    const response = await fetch(`status/${threadId}`);
    if (!response.ok) return;
    const status = (await response.json()) as { readonly runId: string | null };
    if (status.runId !== runId) behind.set(true);
  } catch {
    // Out of reach: the next request will say so.
  }
};

/** Listen for news; returns how to stop. */
export const listen = (): (() => void) => {
  const hear = ({ data }: MessageEvent<News>): void => {
    if (data.threadId === threadId && data.runId !== runId) behind.set(true);
  };
  const look = (): void => void lookAgain();
  tabs.addEventListener("message", hear);
  document.addEventListener("visibilitychange", look);
  addEventListener("online", look);
  return () => {
    tabs.removeEventListener("message", hear);
    document.removeEventListener("visibilitychange", look);
    removeEventListener("online", look);
  };
};
