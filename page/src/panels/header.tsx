/** The top of the page: what the thread is called, whether a run goes on, the plan and the progress. */
import { useAuiState } from "@assistant-ui/react";
import { useEffect } from "react";
import { failure } from "../agent/failure";
import { useThreadState } from "../agent/following";
import { useSignal } from "../agent/signal";
import type { Progress, Step } from "../agent/state";
import { CheckIcon, MarkIcon } from "../icons";

function RunStatus() {
  const running = useAuiState((s) => s.thread.isRunning);
  const asking = useAuiState((s) => {
    const last = s.thread.messages.at(-1);
    return last?.role === "assistant" && last.status.type === "requires-action";
  });
  const problem = useSignal(failure)?.kind;
  const [status, text] = running
    ? ["running", "Running"]
    : problem === "failed" || problem === "lost"
      ? ["failed", problem === "lost" ? "Disconnected" : "Failed"]
      : asking
        ? ["waiting", "Waiting for you"]
        : ["idle", "Ready"];
  return (
    <span className="run-status" role="status" data-testid="run-status" data-status={status}>
      {text}
    </span>
  );
}

function Plan({ steps }: { steps: readonly Step[] }) {
  // A step that was under way when its run was stopped or failed stands still.
  const still = useAuiState((s) => !s.thread.isRunning && s.thread.messages.at(-1)?.status?.type !== "requires-action");
  return (
    <ol className="plan" data-testid="plan" aria-label="Plan">
      {steps.map(({ title, status }, index) => {
        const shown = status === "running" && still ? "stopped" : status;
        return (
          <li key={index} data-status={shown} aria-current={shown === "running" ? "step" : undefined}>
            <span className="step-mark">{status === "done" ? <CheckIcon /> : index + 1}</span>
            <span className="step-title">{title}</span>
            <span className="visually-hidden">, {shown}</span>
          </li>
        );
      })}
    </ol>
  );
}

function ProgressBar({ progress: { label, done, total } }: { progress: Progress }) {
  return (
    <label className="progress" data-testid="progress">
      <span>{label || "Progress"}</span>
      <progress max={Math.max(total, 1)} value={Math.min(done, Math.max(total, 1))} />
      <span className="count">
        {done.toLocaleString("en")} / {total.toLocaleString("en")}
      </span>
    </label>
  );
}

export function Header() {
  const title = useThreadState((s) => s?.title);
  const plan = useThreadState((s) => s?.plan);
  const progress = useThreadState((s) => s?.progress);
  useEffect(() => {
    document.title = title ? `${title} · Statecast` : "Statecast";
  }, [title]);
  const busy = progress && progress.total > 0;
  return (
    <header className="header">
      <div className="header-line">
        <span className="brand">
          <MarkIcon />
          Statecast
        </span>
        <h1 data-testid="state-title">{title || "Untitled"}</h1>
        <RunStatus />
        <a className="button quiet" href="./" data-testid="new-thread">
          New thread
        </a>
      </div>
      {plan?.length || busy ? (
        <div className="header-line overview">
          {plan && plan.length > 0 && <Plan steps={plan} />}
          {busy && <ProgressBar progress={progress} />}
        </div>
      ) : (
        <p className="header-line overview-hint">The agent's plan and its progress appear here.</p>
      )}
    </header>
  );
}
