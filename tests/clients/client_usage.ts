// How the types of `client.js` are used, right and wrong: checked by test_usages.py.

import { create } from "zustand";
import { useSyncExternalStore } from "react";
import { apply, connect, OperationError, Refused, type Json, type Operation, type Snapshot } from "./client.js";

type State = { readonly title: string; readonly notes: readonly string[] };

const thread = connect<State>("", "t", {
  agent: "writer",
  headers: async () => ({ authorization: "Bearer …" }),
  webSocket: WebSocket,
  isNew: true,
  silence: 20_000,
  fetch: (input, init) => fetch(input, { ...init, credentials: "include" }),
  onFrame: (frame) => console.log(frame.type, frame["revision"]),
});

export const useThread = create(() => thread.getSnapshot());
export const useTitle = (): string | undefined =>
  useSyncExternalStore(thread.subscribe, thread.getSnapshot, thread.getSnapshot).state?.title;

export async function talk(): Promise<string | null> {
  const stop: () => void = thread.subscribe(() => {});
  try {
    const { runId, cursor } = await thread.send(["Hello", { type: "add-note", text: "a", at: { x: [1, null] } }], {
      policy: "interrupt",
      system: "Be brief.",
    });
    const cancelled: boolean = await thread.cancel({ queued: true });
    return cancelled ? cursor : runId;
  } catch (error) {
    if (error instanceof Refused && error.status === 422) return `${error.code}: ${String(error.details["limit"])}`;
    throw error;
  } finally {
    stop();
    thread.reconnect();
    thread.close();
  }
}

const snapshot: Snapshot<State> = thread.getSnapshot();
export const operations: readonly Operation[] = [{ type: "append-text", path: ["title"], value: "!" }];
export const state: State | null = snapshot.state && apply(snapshot.state, operations);
export const anything: Json = connect("", "t").getSnapshot().state;
export const failed: boolean = snapshot.run?.status === "failed" && snapshot.error instanceof OperationError;
export const words: readonly string[] = snapshot.pending.map((command) => `${command.type} ${command.id}`);

// @ts-expect-error  a snapshot is not to be changed
snapshot.revision = 1;
// @ts-expect-error  nor is what it holds
snapshot.pending.push({ type: "x", id: "y" });
// @ts-expect-error  a command has a type
void thread.send({ text: "a" });
// @ts-expect-error  there is no such status
export const never = snapshot.run?.status === "done";
// @ts-expect-error  the state is null until it has come
export const title: string = snapshot.state.title;
// @ts-expect-error  there is no such operation
apply({}, [{ type: "remove", path: ["a"] }]);
// @ts-expect-error  a thread has an id
connect("");
