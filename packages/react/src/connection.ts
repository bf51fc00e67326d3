/** The thread of `client.js` behind the hook, and how long it is followed. */
import { useCallback, useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import { connect, type Snapshot, type Thread } from "statecast/client.js";
import type { Options } from "statecast/react.js";
import type { Identity } from "./identity";

/** Where a relative address would lead on a server, which asks nothing. */
const NOWHERE = "http://localhost/";

/** The server's address. */
export const addressOf = (url: string | undefined): string => new URL(url || "/", globalThis.location?.href ?? NOWHERE).href;

/** The latest of a value, for what is called later. */
export function useLatest<T>(value: T): { readonly current: T } {
  const latest = useRef(value);
  useEffect(() => {
    latest.current = value;
  });
  return latest;
}

/**
 * Follow a thread while the page is seen, or while something goes on in it.
 *
 * A browser opens six connections to one server, over all tabs: a tab in the background has none while it is idle.
 */
function subscribe<State>(thread: Thread<State>, listener: () => void): () => void {
  let isFollowing = false; // it may be told of something before `subscribe` returns
  let leave: (() => void) | undefined;
  const look = () => {
    const { cursor, isRunning, pending, connection } = thread.getSnapshot();
    const isKnown = cursor !== null || connection === "unknown";
    const isWanted = !document.hidden || !isKnown || isRunning || pending.length > 0;
    if (isWanted === isFollowing) return;
    isFollowing = isWanted;
    if (isWanted) leave = thread.subscribe(changed);
    else leave?.();
  };
  const changed = () => {
    listener();
    look();
  };
  document.addEventListener("visibilitychange", look);
  look();
  return () => {
    document.removeEventListener("visibilitychange", look);
    isFollowing = false;
    leave?.();
  };
}

export function useThread<State>(
  options: Options<State>,
  { id, isNew }: Identity,
): { readonly thread: Thread<State>; readonly snapshot: Snapshot<State> } {
  const { url, agent, webSocket = false } = options;
  const latest = useLatest(options);
  const thread = useMemo(
    () =>
      connect<State>(addressOf(url), id, {
        ...(agent !== undefined && { agent }),
        webSocket: webSocket && typeof WebSocket !== "undefined",
        isNew,
        headers: () => headersOf(latest.current.headers),
        fetch: (...request) => (latest.current.fetch ?? fetch)(...request),
        onFrame: (frame) => latest.current.onFrame?.(frame),
      }),
    [url, id, agent, webSocket, isNew, latest],
  );
  const follow = useCallback((listener: () => void) => subscribe(thread, listener), [thread]);
  const snapshot = useSyncExternalStore(follow, thread.getSnapshot, thread.getSnapshot);
  return { thread, snapshot };
}

/** What `headers` stands for at this moment. */
export const headersOf = (headers: Options["headers"]): HeadersInit | Promise<HeadersInit> =>
  (typeof headers === "function" ? headers() : headers) ?? {};
