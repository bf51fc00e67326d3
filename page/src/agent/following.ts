/** What the page has of its thread, for what is drawn outside the conversation and only where it changes. */
import { useSyncExternalStore } from "react";
import { Signal } from "./signal";
import type { DemoState } from "./state";

/** Whether the events are read at this moment. */
export const connected = new Signal(false);

/** Whether the server knows nothing of the thread. */
export const forgotten = new Signal(false);

const state = new Signal<DemoState>(null);

/** Take over what the hook has. */
export const publish = (now: { readonly state: DemoState; readonly connection: string }): void => {
  state.set(now.state);
  connected.set(now.connection === "open");
  forgotten.set(now.connection === "unknown");
};

/** Return a part of the state. */
export const useThreadState = <T,>(select: (state: DemoState) => T): T =>
  useSyncExternalStore(state.subscribe, () => select(state.get()));
