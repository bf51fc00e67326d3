/** What the package exports. Its types are those of `react.d.ts`, beside `client.js`, which the sources are checked against. */
import type * as api from "statecast/react.js";
import { messagesOf as messages } from "./messages";
import { useStatecast as use } from "./use-statecast";

export { Refused } from "statecast/client.js";
export const useStatecast: typeof api.useStatecast = use;
export const messagesOf: typeof api.messagesOf = messages;
