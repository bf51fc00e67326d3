/** What the server says of its agents, read again when it may be another process with other code. */
import { Signal } from "../agent/signal";
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

/** `agent` is the first one, which answers; null until the first answer. */
export type Loaded = { readonly agent: Agent | null; readonly problem: string | null };

export const loaded = new Signal<Loaded>({ agent: null, problem: null });

/** Read it again. What did not change stays the same object. */
export const readAgents = async (): Promise<void> => {
  const before = loaded.get();
  try {
    const [agent] = (await get<{ readonly agents: readonly Partial<Agent>[] }>("agents")).agents;
    const now: Agent = { name: "", commands: {}, suggestions: [], ...agent };
    if (before.problem !== null || JSON.stringify(before.agent) !== JSON.stringify(now)) {
      loaded.set({ agent: now, problem: null });
    }
  } catch (error) {
    loaded.set({ agent: before.agent, problem: textOf(error) });
  }
};
