/**
 * The thread's log as far as this page has it: every frame, and from them the state at any revision.
 *
 * Rule 1: frames are kept as they came. A state is computed when it is asked for, with `apply` of client.js.
 * Rule 2: what is kept is bounded. The oldest frames fall out, and what they did goes into the state where the log begins.
 */
import { apply, type Json, type Operation, type Run } from "statecast/client.js";

/** A frame of the thread's events. Source: docs/protocol, "GET /threads/{id}/events". */
export type Frame = { readonly type: string; readonly [field: string]: any };

/** A frame, its place in the log, and when it was made; 0 where that is not known. */
export type Entry = {
  readonly revision: number;
  readonly at: number;
  readonly frame: Frame;
  /** Of its operations, or of the state that it brings. */
  readonly bytes: number;
};

/** A state, with the run that was active or the last one. */
export type Moment = { readonly revision: number; readonly at: number; readonly state: Json; readonly run: Run | null };

/** Entries between two moments that are kept. */
const STRIDE = 256;
/** Entries that are kept at most. */
const KEEP = 50_000;

const utf8 = new TextEncoder();
const sizeOf = (value: unknown): number => utf8.encode(JSON.stringify(value)).length;

const bytesOf = (frame: Frame): number => {
  if (frame.type === "update-state") return sizeOf(frame["operations"]);
  return frame.type === "snapshot" ? sizeOf(frame["state"]) : 0;
};

const revisionOf = (frame: Frame): number => Number(frame["revision"]);
const epochOf = (frame: Frame): string => String(frame["cursor"] ?? "").replace(/-\d+$/, "");

/** `at` is when it was made, where the frame does not say so. */
const entryOf = (frame: Frame, at: number): Entry => ({
  revision: revisionOf(frame),
  at: typeof frame["at"] === "number" ? frame["at"] : at,
  frame,
  bytes: bytesOf(frame),
});

const after = (moment: Moment, { revision, at, frame }: Entry): Moment => {
  switch (frame.type) {
    case "snapshot":
      return { revision, at, state: frame["state"] as Json, run: (frame["run"] as Run | undefined) ?? null };
    case "update-state":
      return { ...moment, revision, at, state: apply(moment.state, frame["operations"] as readonly Operation[]) };
    case "run":
      return { ...moment, revision, at, run: frame["run"] as Run };
    default:
      return { ...moment, revision, at };
  }
};

export class Recording {
  #entries: Entry[] = [];
  #epoch = "";
  /** Moments by the number of entries that made them, from the first entry that is kept. */
  #moments = new Map<number, Moment>();
  #latest: { readonly count: number; readonly moment: Moment } | undefined;

  /** Take a frame that has just been made; returns whether it is new. */
  take(frame: Frame): boolean {
    if (frame.type === "queued") return false;
    const epoch = epochOf(frame);
    if (epoch !== this.#epoch) {
      if (frame.type !== "snapshot") return false;
      this.#epoch = epoch;
      this.#entries = [];
      this.#forget();
    }
    const last = this.#entries.at(-1);
    if (last && revisionOf(frame) <= last.revision) return false;
    this.#entries.push(entryOf(frame, last || frame.type !== "snapshot" ? Date.now() : 0));
    if (this.#entries.length > KEEP) this.#drop(STRIDE);
    return true;
  }

  /** Put the history before the first entry, which is a snapshot. Frames of another log are ignored. */
  putBefore(frames: readonly Frame[]): void {
    const [first, ...rest] = this.#entries;
    if (!first) return;
    const history: Entry[] = [];
    for (const frame of frames) {
      if (frame.type === "queued" || epochOf(frame) !== this.#epoch || revisionOf(frame) > first.revision) continue;
      history.push(entryOf(frame, history.at(-1)?.at ?? 0));
    }
    if (history.at(-1)?.revision !== first.revision) history.push(first);
    this.#entries = [...history, ...rest];
    if (this.#entries.length > KEEP) this.#drop(this.#entries.length - KEEP);
    this.#forget();
  }

  /** All entries that are kept; the first one is a snapshot. */
  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** The revision of the first entry that is kept. */
  get begins(): number {
    return this.#entries[0]?.revision ?? 0;
  }

  /** The revision of the last entry. */
  get revision(): number {
    return this.#entries.at(-1)?.revision ?? 0;
  }

  /** Return the state at a revision, or at the last one before it; null where nothing is kept. */
  at(revision: number): Moment | null {
    const count = this.#countUntil(revision);
    if (count === 0) return null;
    let from = Math.floor(count / STRIDE) * STRIDE;
    while (from > 0 && !this.#moments.has(from)) from -= STRIDE;
    let moment = this.#moments.get(from);
    if (this.#latest && this.#latest.count <= count && this.#latest.count > from) {
      ({ count: from, moment } = this.#latest);
    }
    moment ??= { revision: 0, at: 0, state: null, run: null };
    for (; from < count; ) {
      moment = after(moment, this.#entries[from++]!);
      if (from % STRIDE === 0) this.#moments.set(from, moment);
    }
    this.#latest = { count, moment };
    return moment;
  }

  /** Return the entry at a revision, or the last one before it. */
  entryAt(revision: number): Entry | undefined {
    return this.#entries[this.#countUntil(revision) - 1];
  }

  #countUntil(revision: number): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#entries[middle]!.revision <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #drop(count: number): void {
    const moment = this.at(this.#entries[count]!.revision)!;
    const { revision, at, state, run } = moment;
    const frame: Frame = { type: "snapshot", revision, state, ...(run && { run }) };
    this.#entries = [{ revision, at, frame, bytes: 0 }, ...this.#entries.slice(count + 1)];
    this.#forget();
  }

  #forget(): void {
    this.#moments.clear();
    this.#latest = undefined;
  }
}
