/** The commands that the server's agent declares. */
import { toForm, type Form, type Schema } from "./fields";
import { at } from "../server/address";

/** Commands that are not the agent's own. */
const BUILT_IN: ReadonlySet<string> = new Set(["add-message", "add-tool-result", "answer"]);

export type Declared = { readonly type: string; readonly form: Form };

type Answer = { readonly agents?: readonly { readonly commands?: Readonly<Record<string, Schema>> }[] };

export const loadCommands = async (): Promise<readonly Declared[]> => {
  const response = await fetch(at("agents"));
  if (!response.ok) throw new Error(`the server answered with status ${response.status}`);
  const { agents } = (await response.json()) as Answer;
  return Object.entries(agents?.[0]?.commands ?? {})
    .filter(([type]) => !BUILT_IN.has(type))
    .map(([type, schema]) => ({ type, form: toForm(schema) }));
};
