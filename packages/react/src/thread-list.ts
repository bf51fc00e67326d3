/** The list of threads: as the page's own data, and as assistant-ui's components want it. */
import type { ExternalStoreThreadData } from "@assistant-ui/react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Adapters } from "statecast/adapters.js";
import type { Threads, ThreadSummary } from "statecast/react.js";
import type { Identity } from "./identity";

type List = { readonly items: readonly ThreadSummary[]; readonly next: string | undefined; readonly isLoading: boolean };

const EMPTY: List = { items: [], next: undefined, isLoading: false };

type Listed = Awaited<ReturnType<Adapters["threadList"]["list"]>>;

const summaryOf = ({ remoteId, title, status, lastMessageAt, custom }: Listed["threads"][number]): ThreadSummary => ({
  id: remoteId,
  title,
  status,
  lastMessageAt,
  custom,
});

/**
 * Keep the list. It is asked for again when the page is seen again, and when `news` changes.
 *
 * Failures leave the list as it is: the thread that is shown says what is wrong with the server.
 */
export function useThreadList(
  adapters: Adapters,
  { id, open, create }: Identity,
  isWanted: boolean,
  news: unknown,
): Threads {
  const { threadList } = adapters;
  const [list, setList] = useState<List>(() => ({ ...EMPTY, isLoading: isWanted }));
  const asked = useRef(0);

  const reload = useCallback(async () => {
    const number = ++asked.current;
    try {
      const { threads, nextCursor } = await threadList.list();
      if (number === asked.current) setList({ items: threads.map(summaryOf), next: nextCursor, isLoading: false });
    } catch {
      if (number === asked.current) setList((now) => ({ ...now, isLoading: false }));
    }
  }, [threadList]);

  useEffect(() => {
    if (isWanted) void reload();
  }, [isWanted, reload, news]);

  useEffect(() => {
    if (!isWanted) return undefined;
    const seen = () => void (document.hidden || reload());
    document.addEventListener("visibilitychange", seen);
    return () => document.removeEventListener("visibilitychange", seen);
  }, [isWanted, reload]);

  const { items, next, isLoading } = list;
  const loadMore = useCallback(async () => {
    if (next === undefined) return;
    const { threads, nextCursor } = await threadList.list({ after: next });
    setList((now) => {
      const known = new Set(now.items.map((item) => item.id));
      const more = threads.map(summaryOf).filter((item) => !known.has(item.id));
      return { ...now, items: [...now.items, ...more], next: nextCursor };
    });
  }, [threadList, next]);

  return useMemo(() => {
    const change = (work: Promise<unknown>) => work.then(reload);
    return {
      items,
      isLoading,
      hasMore: next !== undefined,
      loadMore,
      reload,
      open,
      create,
      rename: (one, title) => change(threadList.rename(one, title)),
      archive: (one) => change(threadList.archive(one)),
      unarchive: (one) => change(threadList.unarchive(one)),
      delete: async (one) => {
        await change(threadList.delete(one));
        if (one === id) create();
      },
    };
  }, [items, isLoading, next, loadMore, reload, open, create, threadList, id]);
}

const dataOf = <Status extends "regular" | "archived">(
  items: readonly ThreadSummary[],
  status: Status,
): readonly ExternalStoreThreadData<Status>[] =>
  items
    .filter((item) => item.status === status)
    .map(({ id, title, custom }) => ({
      id,
      remoteId: id,
      status,
      title,
      custom: custom as Record<string, unknown> | undefined,
    }));

/** What assistant-ui's list of threads is drawn from. */
export function useThreadListAdapter(threads: Threads, id: string, isWanted: boolean) {
  return useMemo(() => {
    const { items, isLoading, open, create, rename, archive, unarchive, delete: remove } = threads;
    return {
      threadId: id,
      ...(isWanted && { isLoading, threads: dataOf(items, "regular"), archivedThreads: dataOf(items, "archived") }),
      onSwitchToThread: open,
      onSwitchToNewThread: create,
      onRename: rename,
      onArchive: archive,
      onUnarchive: unarchive,
      onDelete: remove,
    };
  }, [threads, id, isWanted]);
}
