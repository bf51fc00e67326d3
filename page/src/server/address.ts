/**
 * Where the server is. `?server=` names another one than that of the page; its app has to allow this page's origin with
 * `cors_origins`.
 */

const PARAMETER = "server";

const parsed = (text: string): URL | null => {
  try {
    const url = new URL(/^[a-z]+:\/\//i.test(text) ? text : `http://${text}`);
    return /^https?:$/.test(url.protocol) ? url : null;
  } catch {
    return null;
  }
};

const here = new URL(".", location.href);
const named = new URLSearchParams(location.search).get(PARAMETER);

/** The base URL of the server, without the slash at its end. */
export const server: string = (named === null ? here : (parsed(named) ?? here)).href.replace(/[?#].*$/, "").replace(/\/+$/, "");

/** Whether it is the server that the page came from. */
export const isHome: boolean = server === here.href.replace(/[?#].*$/, "").replace(/\/+$/, "");

/** Return the URL of a path of the server. */
export const at = (path: string): string => `${server}/${path}`;

/** Return the address of this page with a thread in it; null: a new one. */
export const pageWith = (threadId: string | null): string => {
  const query = new URLSearchParams();
  if (!isHome) query.set(PARAMETER, server);
  if (threadId !== null) query.set("thread", threadId);
  const text = query.toString();
  return text === "" ? "./" : `?${text}`;
};

/** Return the address of this page on another server; null if the text is no address of one. */
export const pageOf = (text: string): string | null => {
  if (text.trim() === "") return "./";
  const url = parsed(text.trim());
  return url && `?${new URLSearchParams({ [PARAMETER]: url.href.replace(/\/+$/, "") }).toString()}`;
};
