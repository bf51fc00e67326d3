/** The log of the open thread, and the revision that the page shows. */
import { useSyncExternalStore } from "react";
import { light } from "../agent/changes";
import { Signal, useSignal } from "../agent/signal";
import { readHistory } from "./history";
import { Recording, type Frame, type Moment } from "./recording";

/** Milliseconds between two updates of what is drawn from the log, however fast frames come. */
const PACE = 40;

export const recording = new Recording();

/** How far the log has come, in numbers that change whenever there is more to draw. */
export type Extent = { readonly begins: number; readonly revision: number; readonly count: number };

export const extent = new Signal<Extent>({ begins: 0, revision: 0, count: 0 });

/** The revision that the page shows; null: now. */
export const shown = new Signal<number | null>(null);

let paths: (readonly string[])[] = [];
let timer: ReturnType<typeof setTimeout> | undefined;

const publish = (): void => {
  timer = undefined;
  if (shown.get() === null) light(paths);
  paths = [];
  const { begins, revision, entries } = recording;
  extent.set({ begins, revision, count: entries.length });
};

const pathsOf = (frame: Frame): readonly (readonly string[])[] => {
  if (frame.type === "snapshot") return [[]];
  return frame.type === "update-state" ? frame["operations"].map(({ path }: { path: string[] }) => path) : [];
};

/** Take a frame of the thread's events. The first one is a snapshot; what came before it is read as well. */
export const take = (frame: Frame): void => {
  if (!recording.take(frame)) return;
  if (recording.entries.length === 1 && recording.revision > 0) {
    readHistory(recording.revision).then(
      (frames) => {
        recording.putBefore(frames);
        timer ??= setTimeout(publish, PACE);
      },
      () => {}, // the page goes without what came before it
    );
  }
  // The timer may be held back for long; more paths than these light everything anyway.
  if (paths.length < 500) paths.push(...pathsOf(frame));
  timer ??= setTimeout(publish, PACE);
};

/** Show the thread at a revision, and light what that revision changed; null: now. */
export const show = (revision: number | null): void => {
  if (revision !== null) {
    const entry = recording.entryAt(revision);
    if (entry && entry.frame.type !== "snapshot") light(pathsOf(entry.frame));
  }
  shown.set(revision);
};

/** Return the moment that the page shows; null: now. */
export const useMoment = (): Moment | null => {
  const revision = useSignal(shown);
  return revision === null ? null : recording.at(revision);
};

/** Return the id of the last run; empty where there was none. */
export const useRunId = (): string =>
  useSyncExternalStore(extent.subscribe, () => recording.at(recording.revision)?.run?.id ?? "");

/** Return a text that changes whenever a run begins, waits or ends; null: there is no thread yet. */
export const useRunChanges = (): string | null =>
  useSyncExternalStore(extent.subscribe, () => {
    const now = recording.at(recording.revision);
    return now && `${now.run?.id ?? ""} ${now.run?.status ?? ""}`;
  });
