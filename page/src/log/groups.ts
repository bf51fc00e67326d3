/** Operations by what they changed: one line for a text that grew by a thousand tokens. */
import type { Operation } from "statecast/client.js";
import type { Entry } from "./recording";

/** What neighbouring operations did to one place, within one run. */
export type Group = {
  readonly key: string;
  readonly type: Operation["type"];
  /** Of the place; a list whose items were set has `…` for their number. */
  readonly path: string;
  readonly operations: readonly Placed[];
  readonly words: number;
  readonly bytes: number;
};

/** An operation, and the revision that it belongs to. */
export type Placed = { readonly revision: number; readonly path: string; readonly value: unknown };

type Growing = { -readonly [K in keyof Group]: Group[K] } & { operations: Placed[] };

const NUMBER = /^\d+$/;

/** Return the place that stands for an operation: the items of a list are one. */
const placeOf = ({ type, path }: Operation): string => {
  const last = path.at(-1);
  const items = type === "set" && last !== undefined && NUMBER.test(last);
  return (items ? [...path.slice(0, -1), "…"] : path).join("/");
};

/** Return how many words a piece adds to a text that ends so. */
const wordsIn = (piece: string, before: string): number => {
  const words = piece.match(/\S+/g)?.length ?? 0;
  return words > 0 && /^\S/.test(piece) && /\S$/.test(before) ? words - 1 : words;
};

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

/** Collects the groups of a log as it grows. */
export class Groups {
  #groups: Growing[] = [];
  #open = new Map<string, Growing>();
  #read = 0;
  #first: Entry | undefined;
  #bytes = 0;
  #operations = 0;

  /** Bytes of all operations. */
  get bytes(): number {
    return this.#bytes;
  }

  get operations(): number {
    return this.#operations;
  }

  /** Read what is new in a log, and return all groups in the order of their first operations. */
  of(entries: readonly Entry[]): readonly Group[] {
    if (entries[0] !== this.#first) this.#restart(entries[0]);
    for (; this.#read < entries.length; this.#read++) this.#take(entries[this.#read]!);
    return [...this.#groups];
  }

  #restart(first: Entry | undefined): void {
    this.#groups = [];
    this.#open.clear();
    this.#read = this.#bytes = this.#operations = 0;
    this.#first = first;
  }

  #take({ revision, frame, bytes }: Entry): void {
    if (frame.type === "run") this.#open.clear();
    if (frame.type === "snapshot") {
      this.#add({ type: "set", path: [], value: frame["state"] }, revision, bytes);
      this.#open.clear();
    }
    if (frame.type !== "update-state") return;
    const operations = frame["operations"] as readonly Operation[];
    for (const operation of operations) this.#add(operation, revision, bytes / operations.length);
  }

  #add(operation: Operation, revision: number, bytes: number): void {
    this.#operations += 1;
    this.#bytes += bytes;
    const path = placeOf(operation);
    const name = `${operation.type} ${path}`;
    let group = this.#open.get(name);
    if (!group) {
      group = { key: `${revision} ${name}`, type: operation.type, path, operations: [], words: 0, bytes: 0 };
      this.#open.set(name, group);
      this.#groups.push(group);
    }
    if (operation.type === "append-text") {
      group.words += wordsIn(operation.value, textOf(group.operations.at(-1)?.value));
    }
    group.operations.push({ revision, path: operation.path.join("/"), value: operation.value });
    group.bytes += bytes;
  }
}
