/** The runs of the open thread, read again when one of them begins or ends. */
import { Signal } from "../agent/signal";
import { threadId } from "../agent/thread";
import { get, post, textOf } from "./requests";

/** A run; times are milliseconds since 1970. */
export type RunRecord = {
  readonly id: string;
  readonly agent: string;
  readonly status: "queued" | "running" | "waiting" | "completed" | "failed" | "cancelled" | "interrupted";
  readonly queuedAt: number | null;
  readonly startedAt?: number | null;
  readonly firstAt?: number | null;
  readonly endedAt?: number | null;
  readonly operations?: number;
  readonly bytes?: number;
  readonly steps?: number;
  readonly usage?: Readonly<Record<string, unknown>> | null;
  /** In US dollars, where the agent says what it is. */
  readonly cost?: number | null;
  readonly error?: { readonly code: string; readonly message: string; readonly traceback?: string } | null;
};

/** `runs` is null until the first answer; the newest is first. */
export type Runs = { readonly runs: readonly RunRecord[] | null; readonly problem: string | null };

export const runs = new Signal<Runs>({ runs: null, problem: null });

const path = `threads/${encodeURIComponent(threadId)}`;

/** Read the runs again. */
export const readRuns = async (): Promise<void> => {
  try {
    runs.set({ runs: (await get<{ runs: readonly RunRecord[] }>(`${path}/runs`)).runs, problem: null });
  } catch (error) {
    runs.set({ runs: runs.get().runs, problem: textOf(error) });
  }
};

/** Run the commands of a run again. */
export const retry = async (runId: string): Promise<void> => void (await post(`${path}/retry`, { runId }));

export const isOver = ({ status }: RunRecord): boolean =>
  status !== "queued" && status !== "running" && status !== "waiting";
