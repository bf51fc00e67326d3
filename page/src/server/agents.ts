/** What the server says of its agents, read again when it may be another process with other code. */
import { Signal, useSignal } from "../agent/signal";
import { threadId } from "../agent/thread";
import { get, textOf } from "./requests";

type Schema = { readonly [keyword: string]: unknown };

/** A text to send, and what to look at then; the hint may be empty. */
export type Suggestion = { readonly prompt: string; readonly hint: string };

/** An agent; its commands are JSON Schemas by type. */
export type Agent = {
  readonly name: string;
  readonly commands: Readonly<Record<string, Schema>>;
  readonly suggestions: readonly Suggestion[];
};

/** `agents` is null until the first answer. */
export type Loaded = { readonly agents: readonly Agent[] | null; readonly problem: string | null };

export const loaded = new Signal<Loaded>({ agents: null, problem: null });

/** The name of the agent that answers; null: the first one. */
export const answering = new Signal<string | null>(null);

/** Return the agent that answers; null until the first answer. */
export const useAgent = (): Agent | null => {
  const { agents } = useSignal(loaded);
  const name = useSignal(answering);
  return agents?.find((agent) => agent.name === name) ?? agents?.[0] ?? null;
};

/** Read them again. What did not change stays the same object. */
export const readAgents = async (): Promise<void> => {
  const before = loaded.get();
  try {
    const { agents } = await get<{ readonly agents: readonly Partial<Agent>[] }>("agents");
    const now = agents.map((agent): Agent => ({ name: "", commands: {}, suggestions: [], ...agent }));
    if (before.problem !== null || JSON.stringify(before.agents) !== JSON.stringify(now)) {
      loaded.set({ agents: now, problem: null });
    }
  } catch (error) {
    loaded.set({ agents: before.agents, problem: textOf(error) });
  }
};

/** Find out whose the open thread is. Throws Refused. */
export const readAnswering = async (): Promise<void> => {
  const { runs } = await get<{ readonly runs: readonly { readonly agent: string }[] }>(
    `threads/${encodeURIComponent(threadId)}/runs`,
  );
  answering.set(runs[0]?.agent ?? null);
};
