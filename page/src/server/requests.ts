/** Requests to the server that are answered with JSON. */
import { Refused } from "statecast/client.js";
import { at } from "./address";

const answered = async (path: string, init: RequestInit): Promise<unknown> => {
  const response = await fetch(at(path), { cache: "no-store", ...init });
  if (!response.ok) throw await Refused.of(response);
  return response.status === 204 ? null : response.json();
};

/** Throws Refused. */
export const get = async <T,>(path: string): Promise<T> => (await answered(path, {})) as T;

/** Throws Refused. */
export const post = async <T,>(path: string, body: unknown): Promise<T> =>
  (await answered(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  })) as T;

/** Throws Refused. */
export const remove = async (path: string): Promise<void> => void (await answered(path, { method: "DELETE" }));

/** Return what went wrong, in words. */
export const textOf = (error: unknown): string =>
  error instanceof TypeError
    ? "The server cannot be reached."
    : error instanceof Error
      ? error.message
      : String(error);
