/** The thread's runs as bars over time: the wait in the queue, the wait for the first operation, and the rest. */
import { useEffect, useState } from "react";
import { useSignal } from "../agent/signal";
import { useRunChanges } from "../log/log";
import { isOver, readRuns, retry, runs, type RunRecord } from "../server/runs";
import { textOf } from "../server/requests";
import { Panel } from "./panel";
import { bytes, clock, count, duration } from "./times";

/** Milliseconds between two drawings of a bar that grows. */
const PACE = 250;

const STATUS_NAMES = {
  queued: "Queued",
  running: "Running",
  waiting: "Waiting for the user",
  completed: "Completed",
  failed: "Failed",
  cancelled: "Stopped",
  interrupted: "Interrupted",
} as const;

/** Return the time now, again and again while it matters. */
const useNow = (matters: boolean): number => {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!matters) return;
    const timer = setInterval(() => setNow(Date.now()), PACE);
    return () => clearInterval(timer);
  }, [matters]);
  return now;
};

type Spans = { readonly queue: number; readonly first: number; readonly rest: number };

const spanned = ({ queuedAt, startedAt, firstAt, endedAt }: RunRecord, now: number): Spans => {
  const begin = queuedAt ?? startedAt ?? endedAt ?? now;
  const end = endedAt ?? Math.max(now, begin);
  const started = startedAt ?? end;
  const first = firstAt ?? end;
  return { queue: Math.max(0, started - begin), first: Math.max(0, first - started), rest: Math.max(0, end - first) };
};

/** `inputTokens` and `input_tokens` read as "input tokens". */
const spoken = (name: string): string => name.replace(/([a-z])([A-Z])/g, "$1 $2").replaceAll("_", " ").toLowerCase();

const usageOf = (usage: RunRecord["usage"]): readonly (readonly [string, string])[] =>
  Object.entries(usage ?? {})
    .filter((pair): pair is [string, number] => typeof pair[1] === "number" && pair[1] > 0)
    .map(([name, value]) => [spoken(name), value.toLocaleString("en")]);

/** Cents where there are any, else the first two digits that are not zero. */
const dollars = (cost: number): string => {
  const digits = cost < 0.1 ? { maximumSignificantDigits: 2 } : {};
  return cost.toLocaleString("en", { style: "currency", currency: "USD", ...digits });
};

function Failed({ error }: { readonly error: NonNullable<RunRecord["error"]> }) {
  return (
    <div className="run-problem">
      <p>
        <code>{error.code}</code> {error.message}
      </p>
      {error.traceback && (
        <details>
          <summary>Traceback</summary>
          <pre tabIndex={0}>{error.traceback}</pre>
        </details>
      )}
    </div>
  );
}

function RunRow({ run, longest, now }: { readonly run: RunRecord; readonly longest: number; readonly now: number }) {
  const [problem, setProblem] = useState<string | null>(null);
  const { queue, first, rest } = spanned(run, now);
  const part = (ms: number): string => `${(100 * ms) / Math.max(1, longest)}%`;
  const facts: (readonly [string, string])[] = [
    ["queue", duration(queue)],
    ...(run.firstAt ? [["first operation", duration(first)] as const] : []),
    ["total", duration(queue + first + rest)],
    ...(run.steps ? [["steps", run.steps.toLocaleString("en")] as const] : []),
    ...usageOf(run.usage),
    ...(typeof run.cost === "number" ? [["cost", dollars(run.cost)] as const] : []),
    ...(run.operations
      ? [["operations", `${run.operations.toLocaleString("en")}${run.bytes ? `, ${bytes(run.bytes)}` : ""}`] as const]
      : []),
  ];
  const again = (): void => {
    setProblem(null);
    retry(run.id).then(readRuns, (error: unknown) => setProblem(textOf(error)));
  };
  return (
    <li className="run" data-testid="run" data-run={run.id} data-status={run.status}>
      <div className="run-head">
        <span className="status-word" data-status={run.status}>
          {STATUS_NAMES[run.status]}
        </span>
        <span className="run-agent">{run.agent}</span>
        {run.queuedAt !== null && <time dateTime={new Date(run.queuedAt).toISOString()}>{clock(run.queuedAt)}</time>}
        {["failed", "cancelled", "interrupted"].includes(run.status) && (
          <button type="button" className="button quiet small" data-testid="run-retry" onClick={again}>
            Retry
          </button>
        )}
      </div>
      <svg className="run-bar" role="img" aria-label={facts.map(([name, value]) => `${name} ${value}`).join(", ")}>
        <rect className="bar-queue" x="0" width={part(queue)} height="100%" />
        <rect className="bar-first" x={part(queue)} width={part(first)} height="100%" />
        <rect className="bar-rest" x={part(queue + first)} width={part(rest)} height="100%" />
      </svg>
      <dl className="run-facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {run.error && <Failed error={run.error} />}
      {problem !== null && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
    </li>
  );
}

export function Runs() {
  const { runs: all, problem } = useSignal(runs);
  const changes = useRunChanges();
  useEffect(() => {
    if (changes !== null) void readRuns();
  }, [changes]);
  const now = useNow(all?.some((run) => !isOver(run)) ?? false);
  const longest = Math.max(1, ...(all ?? []).map((run) => Object.values(spanned(run, now)).reduce((a, b) => a + b, 0)));
  return (
    <Panel title="Runs" note={all?.length ? count(all.length, "run") : "one for each turn"} className="runs">
      {problem !== null && <p className="empty">The runs are not available: {problem}</p>}
      {problem === null && !all?.length && <p className="empty">Each turn of the agent appears here with its times.</p>}
      {all && all.length > 0 && (
        <p className="legend" aria-hidden="true">
          <span className="key-queue" /> queue <span className="key-first" /> until the first operation{" "}
          <span className="key-rest" /> the rest
        </p>
      )}
      <ol role="list" className="run-list" data-testid="runs">
        {all?.map((run) => (
          <RunRow key={run.id} run={run} longest={longest} now={now} />
        ))}
      </ol>
    </Panel>
  );
}
