/** What went wrong with the last request or run, in words. */
import type { Statecast } from "@statecast/react";
import { useEffect, useRef, useState } from "react";
import { noteError, unloaded } from "../server/requests";
import { Signal, useSignal } from "./signal";

/**
 * `lost`: the server cannot be reached, and the run may well go on. `unloaded`: the agent's code does not load. `note`:
 * nothing failed, but the user should know.
 */
export type Failure = {
  readonly kind: "failed" | "lost" | "unloaded" | "note";
  readonly text: string;
  readonly traceback?: string;
};

export const failure = new Signal<Failure | null>(null);

const LOST: Failure = { kind: "lost", text: "The connection to the server was lost. Reconnecting…" };
const GONE: Failure = {
  kind: "note",
  text: "The server no longer has this thread. The next message starts it anew from here.",
};
const INTERRUPTED = "The server stopped before the run had ended.";

type Watched = Pick<Statecast<unknown>, "run" | "error" | "connection" | "pending" | "thread">;

/** Whether the server is out of reach. A stream that ends is opened again at once; only where that fails, it is. */
const useIsLost = (connection: string, error: Error | null): boolean => {
  const [isLost, setIsLost] = useState(false);
  const broken = useRef<Error | null>(null); // what broke the connection, or the last attempt to have one
  useEffect(() => {
    const isAgain = connection === "connecting" && error !== null && broken.current !== null && error !== broken.current;
    broken.current = connection === "connecting" ? error : null;
    setIsLost((was) => connection === "connecting" && (was || isAgain));
  }, [connection, error]);
  return isLost;
};

const failed = (text: string): Failure => ({ kind: "failed", text });

/** Return why the agent's code does not load, whichever request was told so. */
const useUnloaded = (connection: string, error: Error | null): Failure | null => {
  const now = useSignal(unloaded);
  useEffect(() => noteError(error), [error]);
  useEffect(() => {
    if (connection === "open") unloaded.set(null);
  }, [connection]);
  return now && { kind: "unloaded", text: now.message, traceback: now.traceback };
};

/** Say what is wrong now: no agent, no server, one that has forgotten the thread, a refusal, or a failed run. */
export function useFailures({ run, error, connection, pending, thread }: Watched): void {
  const isLost = useIsLost(connection, error);
  const isUnloaded = useUnloaded(connection, error);
  const problem = run?.error?.message ?? (run?.status === "interrupted" ? INTERRUPTED : undefined);
  const problemOf = (): Failure | null => {
    if (isUnloaded) return isUnloaded;
    if (isLost) return LOST;
    if (connection === "unknown" && thread.getSnapshot().cursor !== null) return GONE;
    if (connection !== "connecting" && error) return failed(error.message);
    return problem !== undefined && pending.length === 0 ? failed(problem) : null;
  };
  const now = problemOf();
  // What the user has dismissed comes back only where something else goes wrong.
  useEffect(() => failure.set(now), [now?.kind, now?.text, run?.id]);
}
