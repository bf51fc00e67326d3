/** The slider over the thread's revisions: dragging shows the page as it was. */
import { useEffect, type KeyboardEvent } from "react";
import { useSignal } from "../agent/signal";
import { HistoryIcon } from "../icons";
import { extent, recording, show, shown } from "../log/log";
import { clock } from "./times";

/** Revisions that the keys Page Up and Page Down move. */
const PAGE = 10;

export function Timeline() {
  const { begins, revision, count } = useSignal(extent);
  const at = useSignal(shown);
  const value = at ?? revision;
  const time = recording.entryAt(value)?.at;
  const to = (next: number): void => show(next >= revision ? null : Math.max(begins, next));

  const jump = (event: KeyboardEvent<HTMLInputElement>): void => {
    const step = event.key === "PageUp" ? PAGE : event.key === "PageDown" ? -PAGE : 0;
    if (step !== 0) {
      event.preventDefault();
      to(value + step);
    }
    if (event.key === "Escape") show(null);
  };

  // What the log no longer has cannot be shown.
  useEffect(() => {
    if (at !== null && at < begins) show(begins);
  }, [at, begins]);

  const where = count === 0 ? "nothing yet" : at === null ? `revision ${value}, now` : `revision ${value} of ${revision}`;
  return (
    <footer className="timeline" data-testid="timeline" data-shown={at === null ? "now" : at}>
      <HistoryIcon />
      <label className="timeline-slider">
        <span className="visually-hidden">History: revision to show</span>
        <input
          type="range"
          min={begins}
          max={Math.max(revision, begins + 1)}
          step={1}
          value={count < 2 ? begins + 1 : value}
          disabled={count < 2}
          aria-valuetext={where}
          data-testid="timeline-slider"
          onKeyDown={jump}
          onChange={({ target }) => to(Number(target.value))}
        />
      </label>
      <span className="timeline-where">
        <span>{where}</span>
        {!!time && <time dateTime={new Date(time).toISOString()}>{clock(time)}</time>}
      </span>
    </footer>
  );
}
