/** Requests to the server that are answered with JSON. */
import { Refused } from "statecast/client.js";
import { Signal } from "../agent/signal";
import { at } from "./address";

/** Why the server has no agent: under `statecast dev`, while its code does not load. */
export type Unloaded = { readonly message: string; readonly traceback: string };

export const unloaded = new Signal<Unloaded | null>(null);

/** Note what an error says of the agent's code. */
export const noteError = (error: unknown): void => {
  if (!(error instanceof Refused) || error.code !== "agent_not_loaded") return;
  const traceback = String(error.details["traceback"] ?? "");
  if (unloaded.get()?.message !== error.message) unloaded.set({ message: error.message, traceback });
};

const answered = async (path: string, init: RequestInit): Promise<unknown> => {
  const response = await fetch(at(path), { cache: "no-store", ...init });
  if (!response.ok) {
    const refused = await Refused.of(response);
    noteError(refused);
    throw refused;
  }
  unloaded.set(null);
  return response.status === 204 ? null : response.json();
};

/** Throws Refused. */
export const get = async <T,>(path: string): Promise<T> => (await answered(path, {})) as T;

const sent = (method: string, path: string, body: unknown): Promise<unknown> =>
  answered(path, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** Throws Refused. */
export const post = async <T,>(path: string, body: unknown): Promise<T> => (await sent("POST", path, body)) as T;

/** Throws Refused. */
export const change = async <T,>(path: string, body: unknown): Promise<T> => (await sent("PATCH", path, body)) as T;

/** Throws Refused. */
export const remove = async (path: string): Promise<void> => void (await answered(path, { method: "DELETE" }));

/** Return what went wrong, in words. */
export const textOf = (error: unknown): string =>
  error instanceof TypeError
    ? "The server cannot be reached."
    : error instanceof Error
      ? error.message
      : String(error);
