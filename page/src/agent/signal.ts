/** A value that lives outside React and tells its readers when it changes. */
import { useSyncExternalStore } from "react";

export class Signal<T> {
  #value: T;
  readonly #readers = new Set<() => void>();

  constructor(value: T) {
    this.#value = value;
  }

  get = (): T => this.#value;

  set = (value: T): void => {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const reader of this.#readers) reader();
  };

  subscribe = (reader: () => void): (() => void) => {
    this.#readers.add(reader);
    return () => this.#readers.delete(reader);
  };
}

export const useSignal = <T,>(signal: Signal<T>): T =>
  useSyncExternalStore(signal.subscribe, signal.get);
