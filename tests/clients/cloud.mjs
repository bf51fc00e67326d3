// Ask with the published `assistant-cloud` package: one request a line, one answer a line. cloud.py starts it.
//
// `{"do": "open", "client", "config", "storage"?, "tokens"?}` makes a client: `storage` names the localStorage of its
// browser, and `tokens` are what `authToken` returns, one after another, the last again and again.
// `{"do": "call", "client", "path": "threads.list", "args"}` calls a method; a stream is read to its end, and is
// `{chunks}`. An answer has the `value` or the `error` that was thrown, and the `requests` that were made for it.

import { createInterface } from "node:readline";
import {
  AssistantCloud,
  CloudMessagePersistence,
  generateThreadTitle,
  readAnonymousRefreshToken,
} from "assistant-cloud";

const storages = new Map();
const clients = new Map();
let requests = [];

/** What a browser has. */
class LocalStorage {
  values = new Map();
  getItem = (name) => this.values.get(name) ?? null;
  setItem = (name, value) => void this.values.set(name, String(value));
  removeItem = (name) => void this.values.delete(name);
}

const storageOf = (name) => {
  if (!storages.has(name)) storages.set(name, new LocalStorage());
  return storages.get(name);
};

let waiting = null; // for a request that is not the client's answer: events are sent in the background
const realFetch = globalThis.fetch;
globalThis.fetch = async (url, options = {}) => {
  const request = { method: options.method ?? "GET", path: new URL(url).pathname, status: null };
  requests.push(request);
  const response = await realFetch(url, options);
  request.status = response.status;
  waiting?.();
  return response;
};

const described = (error) => ({
  name: error.name,
  message: error.message,
  status: error.status ?? null,
  code: error.code ?? null,
  details: error.details ?? null,
});

const chunksOf = async (stream) => {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return { chunks };
};

/** What the package exports beside its client. */
const FUNCTIONS = {
  generateThreadTitle: (client, options) => generateThreadTitle(client.cloud, options),
  readAnonymousRefreshToken: (client) => readAnonymousRefreshToken(client.config.baseUrl),
  /** Tell of events until they are sent: the client does that by itself, when there are twenty. */
  track: async (client, events) => {
    const sent = new Promise((resolve) => (waiting = resolve));
    for (const event of events) client.cloud.events.track(event);
    await sent;
  },
  /** Read a title, and ask for the address `then` once its first words are there. */
  titleThen: async (client, { threadId, then }) => {
    const asked = { thread_id: threadId, assistant_id: "system/thread_title", messages: [] };
    const texts = [];
    for await (const chunk of await client.cloud.runs.stream(asked)) {
      if (chunk.type !== "text-delta" || chunk.textDelta === "") continue;
      texts.push(chunk.textDelta);
      if (texts.length === 1) await realFetch(then);
    }
    return texts;
  },
  /** Write messages all at once, each below the one before: the package's persistence sees to the order. */
  persist: async (client, { threadId, messages }) => {
    const persistence = new CloudMessagePersistence(client.cloud);
    const write = ({ id, parentId, content }) => persistence.append(threadId, id, parentId, "aui/v0", content);
    await Promise.all(messages.map(write));
  },
  /** What its persistence loads, page by page, and how many requests that took. */
  load: async (client, { threadId }) => {
    const messages = await new CloudMessagePersistence(client.cloud).load(threadId, "aui/v0");
    return { messages, pages: requests.filter(({ method }) => method === "GET").length };
  },
  /** Do things, `[method, ...args]`, to one persistence, one after another; whether it holds each message's run by then. */
  persisting: async (client, { steps, messages }) => {
    const persistence = new CloudMessagePersistence(client.cloud);
    for (const [method, ...args] of steps) await persistence[method](...args);
    return messages.map((id) => persistence.hasOpenRun(id));
  },
  /** Save attachment bytes as the runtime's adapter does. */
  put: async (_, { url, text, type }) => {
    const response = await fetch(url, { method: "PUT", body: text, headers: { "content-type": type } });
    return { status: response.status, text: await response.text() };
  },
  get: async (_, { url }) => {
    const response = await fetch(url);
    return { status: response.status, type: response.headers.get("content-type"), text: await response.text() };
  },
};

const ACTS = {
  open: async ({ client: name, config, storage, tokens }) => {
    const authToken = async () => (tokens.length > 1 ? tokens.shift() : tokens[0]);
    const cloud = new AssistantCloud({ ...config, ...(tokens && { authToken }) });
    clients.set(name, { cloud, config, storage });
  },

  call: async ({ client: name, path, args }) => {
    const client = clients.get(name);
    if (client.storage == null) delete globalThis.localStorage;
    else globalThis.localStorage = storageOf(client.storage);
    if (FUNCTIONS[path]) return FUNCTIONS[path](client, ...args);
    const names = path.split(".");
    const method = names.pop();
    const value = await names.reduce((at, part) => at[part], client.cloud)[method](...args);
    return value instanceof ReadableStream ? chunksOf(value) : value;
  },
};

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  if (line === "") continue;
  const request = JSON.parse(line);
  requests = [];
  let answer;
  try {
    answer = { value: (await ACTS[request.do](request)) ?? null };
  } catch (error) {
    answer = { error: described(error) };
  }
  process.stdout.write(`${JSON.stringify({ ...answer, requests })}\n`);
}
