// How the types of `client.js` are used, right and wrong: checked by test_usages.py.

import { create } from "zustand";
import { useSyncExternalStore } from "react";
import {
  apply,
  connect,
  OperationError,
  Refused,
  type Accepted,
  type Command,
  type Json,
  type Operation,
  type Options,
  type Part,
  type QueuedBatch,
  type Run,
  type RunRecord,
  type SentCommand,
  type Snapshot,
  type Thread,
} from "./client.js";

type State = { readonly title: string; readonly notes: readonly string[] };

const options: Options = {
  agent: "writer",
  headers: async () => ({ authorization: "Bearer …" }),
  webSocket: WebSocket,
  isNew: true,
  silence: 20_000,
  fetch: (input, init) => fetch(input, { ...init, credentials: "include" }),
  onFrame: (frame) => console.log(frame.type, frame["revision"]),
};
const thread: Thread<State> = connect<State>("", "t", options);
export const made: string = connect("", null).id; // a new thread, whose id is made here

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

export async function travel(revision: number): Promise<string> {
  const accepted: Accepted = await thread.send({ type: "add-note", text: "a" } satisfies Command);
  const [last]: readonly RunRecord[] = await thread.runs();
  const seconds: number = ((last?.endedAt ?? 0) - (last?.startedAt ?? 0)) / 1000;
  const spent: string = `${seconds} s, ${last?.usage?.outputTokens ?? 0} tokens, ${last?.cost ?? 0} €, ${last?.error?.code}`;
  const again: string = await thread.retry(accepted.runId ?? undefined);
  const cursor: string = await thread.rewind(revision, { cancel: true });
  return [spent, again, cursor, await thread.fork(revision), await thread.fork(revision, "copy")].join();
}

const snapshot: Snapshot<State> = thread.getSnapshot();
export const run: Run | null = snapshot.isRunning ? snapshot.run : null;
export const parts: readonly Part[] = snapshot.parts;
export const queued: readonly QueuedBatch[] = snapshot.queued;
export const waiting: readonly (readonly SentCommand[])[] = queued.map(({ commands }) => commands ?? []);
export const why: string | undefined = snapshot.connection === "open" ? undefined : snapshot.error?.message;
export async function refusal(response: Response): Promise<number> {
  const refused: Refused = await Refused.of(response);
  return refused.isTransient ? refused.retryAfter : 0;
}
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
// @ts-expect-error  a thread has an id, or null
connect("");
// @ts-expect-error  a revision is a number
void thread.fork("copy");
// @ts-expect-error  a run that is over has no such field
export const missing = (await thread.runs())[0]?.duration;
