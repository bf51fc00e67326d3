/** The plan and the progress, where the state has such: lists of steps with a title and a status, and a count. */
import { useAuiState } from "@assistant-ui/react";
import type { Progress, Step } from "../agent/state";
import { CheckIcon } from "../icons";
import { useMoment } from "../log/log";
import { useShownState } from "../log/shown";

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isStep = (value: unknown): value is Step =>
  isObject(value) && typeof value["title"] === "string" && typeof value["status"] === "string";

const asPlan = (value: unknown): readonly Step[] | undefined =>
  Array.isArray(value) && value.length > 0 && value.every(isStep) ? value : undefined;

const asProgress = (value: unknown): Progress | undefined =>
  isObject(value) && typeof value["done"] === "number" && typeof value["total"] === "number" && value["total"] > 0
    ? (value as Progress)
    : undefined;

function Plan({ steps }: { steps: readonly Step[] }) {
  const resting = useAuiState((s) => !s.thread.isRunning && s.thread.messages.at(-1)?.status?.type !== "requires-action");
  const moment = useMoment();
  // A step that was under way when its run was stopped or failed stands still.
  const still = moment === null ? resting : moment.run?.status !== "running" && moment.run?.status !== "waiting";
  return (
    <ol role="list" className="plan" data-testid="plan" aria-label="Plan">
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
      <progress max={total} value={Math.min(done, total)} />
      <span className="count">
        {done.toLocaleString("en")} / {total.toLocaleString("en")}
      </span>
    </label>
  );
}

export function Overview() {
  const plan = asPlan(useShownState((state) => state?.plan));
  const progress = asProgress(useShownState((state) => state?.progress));
  if (!plan && !progress) return null;
  return (
    <div className="overview">
      {plan && <Plan steps={plan} />}
      {progress && <ProgressBar progress={progress} />}
    </div>
  );
}
