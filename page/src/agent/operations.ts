/** The operations as they arrive on the thread's stream, for the list and for the tree. */
import type { Operation } from "statecast/client.js";
import { light } from "./changes";
import { preview } from "./preview";
import { Signal } from "./signal";

/** Operations kept for the list; older ones fall out. */
const KEEP = 200;
/** Milliseconds between two updates of the list, however fast operations come. */
const PACE = 30;
/** Characters of a value that the list shows. */
const VALUE_LENGTH = 96;

/** An operation as the list shows it. */
export type OperationRow = {
  readonly number: number;
  readonly type: Operation["type"];
  readonly path: string;
  readonly value: string;
};

export type Arrived = { readonly total: number; readonly latest: readonly OperationRow[] };

export const arrived = new Signal<Arrived>({ total: 0, latest: [] });

let total = 0;
let unseen: OperationRow[] = [];
let paths: (readonly string[])[] = [];
let timer: ReturnType<typeof setTimeout> | undefined;

const publish = (): void => {
  timer = undefined;
  light(paths);
  arrived.set({ total, latest: [...arrived.get().latest, ...unseen].slice(-KEEP) });
  unseen = [];
  paths = [];
};

export const record = ({ type, path, value }: Operation): void => {
  total += 1;
  unseen.push({ number: total, type, path: path.join("/"), value: preview(value, VALUE_LENGTH) });
  paths.push(path);
  // The timer may be held back for long; nothing older than the list is worth keeping meanwhile.
  if (unseen.length > 2 * KEEP) {
    unseen = unseen.slice(-KEEP);
    paths = paths.slice(-KEEP);
  }
  timer ??= setTimeout(publish, PACE);
};
