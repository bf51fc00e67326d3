/** The commands that the server's agent declares. */
import type { Agent } from "../server/agents";
import { toForm, type Form } from "./fields";

/** Commands that are not the agent's own. */
const BUILT_IN: ReadonlySet<string> = new Set(["add-message", "add-tool-result", "answer"]);

export type Declared = { readonly type: string; readonly form: Form };

export const declaredBy = ({ commands }: Agent): readonly Declared[] =>
  Object.entries(commands)
    .filter(([type]) => !BUILT_IN.has(type))
    .map(([type, schema]) => ({ type, form: toForm(schema) }));
