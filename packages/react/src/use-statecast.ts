/** The hook: a thread that is followed, what the user does to it, and the runtime of assistant-ui over both. */
import type { ThreadMessage } from "@assistant-ui/react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { createAdapters, type Adapters } from "statecast/adapters.js";
import { Refused, type Command } from "statecast/client.js";
import type { Options, Statecast } from "statecast/react.js";
import { branchesOf, Tree } from "./branches";
import { addressOf, headersOf, useLatest, useThread } from "./connection";
import { useIdentity, useIsHydrated } from "./identity";
import { conversationOf, usualMessages } from "./messages";
import { contextFields } from "./model-context";
import { questionsOf, usualPending } from "./questions";
import { useRuntime } from "./runtime";
import { useThreadList, useThreadListAdapter } from "./thread-list";

const UNFINISHED = new Set(["failed", "cancelled", "interrupted"]);
const ENDED = new Set(["completed", ...UNFINISHED]);

/** Refusals of a retry where the server has the run's commands no more, and the user's last message may do. */
const NOT_KEPT = new Set(["run_not_retryable", "unknown_run", "unknown_thread"]);

export function useStatecast<State, Commands extends { readonly type: string }>(
  options: Options<State> = {},
): Statecast<State, Commands> {
  const { url, threadId, isNew = false, urlParam, onThreadChange } = options;
  const { threads: isListed = false, attachments = false, branchCommand } = options;
  const { messages: messagesIn = usualMessages, pending: pendingIn = usualPending } = options;
  const latest = useLatest(options);
  const identity = useIdentity(threadId, isNew, urlParam, onThreadChange);
  const isHydrated = useIsHydrated();
  const { thread, snapshot } = useThread(options, identity);
  const { state, run, isRunning, pending } = snapshot;
  const [refusal, setRefusal] = useState<{ readonly thread: unknown; readonly error: Error } | null>(null);
  const refused = refusal?.thread === thread ? refusal.error : null; // of another thread, it says nothing here
  const said = useRef<unknown>(null); // the thread to which this page has said something

  const accept = typeof attachments === "string" ? attachments : "*";
  const adapters = useMemo(
    () =>
      createAdapters({
        url: addressOf(url),
        accept,
        headers: () => headersOf(latest.current.headers),
        fetch: (...request) => (latest.current.fetch ?? fetch)(...request),
        onError: (error) => latest.current.onError?.(error as Error),
      }),
    [url, accept, latest],
  );

  const { keep } = identity;
  const context = useRef<() => { readonly [field: string]: unknown }>(() => ({}));
  const report = useCallback(
    (error: unknown) => {
      if (!(error instanceof Error) || error.name === "AbortError") return;
      setRefusal({ thread, error });
      latest.current.onError?.(error);
    },
    [thread, latest],
  );
  const send = useCallback<Statecast<State, Commands>["send"]>(
    (commands, fields) => {
      setRefusal(null);
      said.current = thread;
      keep();
      const known = thread.getSnapshot();
      const sent = thread.send(commands as Command | readonly Command[], {
        ...context.current(),
        // The server has forgotten the thread, and adopts what the page still has of it.
        ...(known.connection === "unknown" && known.state !== null && { state: known.state }),
        ...latest.current.fields,
        ...fields,
      });
      sent.catch(report); // so a page need not, which looks at `error`
      return sent;
    },
    [thread, keep, report, latest],
  );
  const cancel = useCallback(() => {
    const stopped = thread.cancel();
    stopped.catch(report);
    return stopped;
  }, [thread, report]);

  // A page may write these functions where it calls the hook: what they return changes with the state only.
  const stored = useMemo(() => (state === null ? undefined : messagesIn(state)) ?? NONE, [state]);
  const listed = useMemo(() => (state === null ? undefined : pendingIn(state)) ?? NONE, [state]);
  const tree = useMemo(() => new Tree(), [thread]);
  const branches = useMemo(() => (branchCommand === undefined ? undefined : branchesOf(state)), [branchCommand, state]);
  const conversation = useMemo(() => conversationOf(snapshot, stored), [snapshot, stored]);
  const isBusy = isRunning || pending.length > 0;
  const repository = useMemo(
    () => tree.repositoryOf(conversation, branches, isBusy),
    [tree, conversation, branches, isBusy],
  );

  const sendAny = send as (command: Command) => Promise<unknown>;
  const questions = useMemo(() => questionsOf(snapshot, stored, listed, sendAny), [snapshot, stored, listed, sendAny]);

  const news = run !== null && ENDED.has(run.status) ? run.id : snapshot.cursor === null ? identity.id : run?.id;
  const threads = useThreadList(adapters, identity, isListed, news);
  const list = useThreadListAdapter(threads, identity.id, isListed);
  const title = threads.items.find(({ id }) => id === identity.id);
  const isUntitled = isListed && title !== undefined && title.title === undefined && run?.status === "completed";
  useEffect(() => {
    if (!isUntitled || said.current !== thread) return;
    said.current = null;
    void nameThread(adapters, thread.id, conversation.map(({ message }) => message)).then(threads.reload, () => {});
  }, [isUntitled, adapters, thread, conversation, threads.reload]);

  const { runtime, retry: answerAgain } = useRuntime({
    repository,
    stored,
    isRunning: isBusy,
    isLoading: snapshot.cursor === null && snapshot.connection === "connecting" && !identity.isNew,
    canSwitch: branches !== undefined && branches.length > 0 && !isBusy,
    branchCommand,
    send: sendAny,
    cancel,
    list,
    attachments: attachments === false ? undefined : adapters.attachments,
    feedback: useMemo(() => adapters.feedback(identity.id), [adapters, identity.id]),
  });
  useEffect(() => {
    context.current = () => contextFields(runtime);
  }, [runtime]);

  const retried = useRef<string | null>(null); // the run whose commands run again, until that one is shown
  const retry = useCallback(async () => {
    if (run === null || !UNFINISHED.has(run.status)) return answerAgain();
    if (retried.current === run.id) return;
    retried.current = run.id;
    setRefusal(null);
    try {
      await thread.retry(run.id);
    } catch (error) {
      retried.current = null;
      if (error instanceof Refused && NOT_KEPT.has(error.code)) await answerAgain();
      else report(error);
    }
  }, [thread, run, answerAgain, report]);

  const dismiss = useCallback(() => setRefusal(null), []);
  return {
    runtime,
    state,
    run,
    isRunning: isBusy,
    send,
    cancel,
    retry,
    questions,
    threads,
    threadId: isHydrated ? identity.id : "",
    pending,
    queued: snapshot.queued,
    parts: snapshot.parts,
    revision: snapshot.revision,
    connection: snapshot.connection,
    error: refused ?? (snapshot.connection === "unknown" ? null : snapshot.error),
    dismiss,
    thread,
  };
}

const NONE: readonly never[] = [];

/** Have the server make a title. */
async function nameThread({ threadList }: Adapters, id: string, messages: readonly ThreadMessage[]): Promise<void> {
  const reader = (await threadList.generateTitle(id, messages)).getReader();
  while (!(await reader.read()).done);
}
