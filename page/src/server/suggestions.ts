/** What the agent offers its users to say first. */
import { get } from "./requests";

/** A text to send, and what to look at then; the hint may be empty. */
export type Suggestion = { readonly prompt: string; readonly hint: string };

type Answer = { readonly agents?: readonly { readonly suggestions?: readonly Suggestion[] }[] };

/** Return the suggestions of the server's first agent. Throws Refused. */
export const loadSuggestions = async (): Promise<readonly Suggestion[]> =>
  (await get<Answer>("agents")).agents?.[0]?.suggestions ?? [];
