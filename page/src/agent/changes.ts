/** Which places of the state changed a moment ago: what the tree lights up. */
import { useSyncExternalStore } from "react";
import { Signal } from "./signal";

/** Milliseconds that a change stays lit. */
const LIT = 900;

/** A place as one string, in the form of a JSON Pointer: "" is the whole state, "/plan/0" the first step. */
export type Pointer = string;

export const child = (parent: Pointer, key: string): Pointer =>
  `${parent}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;

type Lit = { readonly places: ReadonlySet<Pointer>; readonly above: ReadonlySet<Pointer> };

const lit = new Signal<Lit>({ places: new Set(), above: new Set() });
const until = new Map<Pointer, number>();
let timer: ReturnType<typeof setTimeout> | undefined;

const parent = (pointer: Pointer): Pointer => pointer.slice(0, pointer.lastIndexOf("/"));

const publish = (): void => {
  const above = new Set<Pointer>();
  for (const place of until.keys()) {
    for (let at = place; at !== ""; ) above.add((at = parent(at)));
  }
  lit.set({ places: new Set(until.keys()), above });
};

const fade = (): void => {
  timer = undefined;
  const now = performance.now();
  let next = Infinity;
  for (const [place, end] of until) {
    if (end <= now) until.delete(place);
    else next = Math.min(next, end);
  }
  if (next < Infinity) timer = setTimeout(fade, next - now + 1);
  publish();
};

export const light = (paths: readonly (readonly string[])[]): void => {
  const end = performance.now() + LIT;
  for (const path of paths) until.set(path.reduce(child, ""), end);
  timer ??= setTimeout(fade, LIT);
  publish();
};

/** `itself`: an operation named this place, or one inside it while it is closed. `along`: it came with what it lies in. */
export type Change = "itself" | "along" | undefined;

const changeAt = ({ places, above }: Lit, pointer: Pointer, open: boolean): Change => {
  if (places.size === 0) return undefined;
  if (places.has(pointer) || (!open && above.has(pointer))) return "itself";
  for (let at = pointer; at !== ""; ) if (places.has((at = parent(at)))) return "along";
  return undefined;
};

/** Whether any of these places, or anything inside them, changed. */
export const useChangeAmong = (pointers: readonly Pointer[]): boolean =>
  useSyncExternalStore(lit.subscribe, () => {
    const { places, above } = lit.get();
    return places.size > 0 && pointers.some((pointer) => places.has(pointer) || above.has(pointer));
  });

export const useChange = (pointer: Pointer, open: boolean): Change =>
  useSyncExternalStore(lit.subscribe, () => changeAt(lit.get(), pointer, open));
