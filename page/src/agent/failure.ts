/** What went wrong with the last request or run, in words. */
import type { Statecast } from "@statecast/react";
import { useEffect, useRef } from "react";
import { Signal } from "./signal";

/** `lost`: the server cannot be reached, and the run may well go on. `note`: nothing failed, but the user should know. */
export type Failure = { readonly kind: "failed" | "lost" | "note"; readonly text: string };

export const failure = new Signal<Failure | null>(null);

const LOST: Failure = { kind: "lost", text: "The connection to the server was lost. Reconnecting…" };
const GONE: Failure = {
  kind: "note",
  text: "The server no longer has this thread. The next message starts it anew from here.",
};
const INTERRUPTED = "The server stopped before the run had ended.";

type Watched = Pick<Statecast<unknown>, "run" | "error" | "connection" | "pending" | "thread">;

/** Say what goes wrong: a refusal, a failed run, a server that is out of reach, or that has forgotten the thread. */
export function useFailures({ run, error, connection, pending, thread }: Watched): void {
  const broken = useRef<Error | null>(null); // what broke the connection, or the last attempt to have one
  const problem = run?.error?.message ?? (run?.status === "interrupted" ? INTERRUPTED : undefined);
  const isUnderWay = run?.status === "running" || run?.status === "queued";
  useEffect(() => {
    if (problem !== undefined) failure.set({ kind: "failed", text: problem });
    else if (isUnderWay && failure.get()?.kind === "failed") failure.set(null);
  }, [run?.id, problem, isUnderWay]);

  const isSending = pending.length > 0;
  useEffect(() => {
    if (isSending && failure.get()?.kind !== "lost") failure.set(null);
  }, [isSending]);

  useEffect(() => {
    const { cursor } = thread.getSnapshot();
    if (connection === "open" && failure.get()?.kind === "lost") failure.set(null);
    if (connection === "unknown") failure.set(cursor === null ? null : GONE);
    if (connection === "connecting") {
      // A stream that ends is opened again at once; only where that fails is the server out of reach.
      if (error && broken.current && error !== broken.current) failure.set(LOST);
      broken.current = error;
    } else {
      broken.current = null;
      if (error) failure.set({ kind: "failed", text: error.message });
    }
  }, [connection, error, thread]);
}
