/** What only `statecast dev` has. */
import { get, post } from "./requests";

type Serving = { readonly process: number };

/** Kill the process of the server, which is then started again; return its number. Throws Refused. */
export const kill = async (): Promise<number> => (await post<Serving>("dev/restart", {})).process;

/** Return the number of the process that serves. Throws Refused. */
export const serving = async (): Promise<number> => (await get<Serving>("dev/restart")).process;
