// @ts-self-types="./adapters.d.ts"
/**
 * The adapters of assistant-ui's runtimes: a list of threads, the model, histories, attachments, feedback, suggestions.
 *
 *     const { adapter, useChatModel } = createAdapters({ url: "http://127.0.0.1:8000" }).hooks(useAui);
 *     const runtimeHook = () => useLocalRuntime(useChatModel());
 *     const runtime = useRemoteThreadListRuntime({ adapter, runtimeHook });
 *
 * For browsers and Node.js 20, without a build, beside `client.js`. What is public is described in adapters.d.ts.
 *
 * Rule 1: whatever is written may be sent again. Threads and messages get their ids here, before they are sent first.
 * Rule 2: what is written to a thread is written in order, so that a message is never there before the one above it.
 */

import { connect, Refused } from "./client.js";

const FIRST_DELAY = 100; // ms before the first further try; each wait doubles
const PATIENCE = 10_000; // ms after which a request is not tried again
const ANSWER = 30_000; // ms for an answer to begin
const FORMAT = "aui/v0"; // the form of assistant-ui's own messages
const JSON_TYPE = "application/json";

export function createAdapters({
  url = "",
  headers,
  fetch = globalThis.fetch,
  patience = PATIENCE,
  accept = "*",
  messages: messagesOf = (state) => state.messages,
  onError = console.error,
} = {}) {
  const base = new URL(url || "/", globalThis.location?.href).href.replace(/\/+$/, "");
  const fresh = new Map(); // the ids of threads that are made here, by those that the page has for them
  const made = new Map(); // whether threads that the page names are there
  const places = new Map(); // by thread: its last write, what follows it, and the server's ids of messages that it made
  const left = new Set(); // messages that were left while they were made: the server has more of them
  const uploads = new Map(); // by attachment: what stops its upload, and what came of it

  // The wire

  async function ask(method, path, { json, file, signal, isOnce = false } = {}) {
    const end = Date.now() + (isOnce ? 0 : patience);
    for (let tries = 0; ; tries++) {
      const given = new Headers(typeof headers === "function" ? await headers() : headers);
      if (json !== undefined) given.set("content-type", JSON_TYPE);
      else if (file?.type) given.set("content-type", file.type);
      const body = json === undefined ? file : JSON.stringify(json);
      const silent = new AbortController();
      const timer = !isOnce && setTimeout(() => silent.abort(new Error("the server is silent")), ANSWER);
      const both = signal ? AbortSignal.any([signal, silent.signal]) : silent.signal;
      try {
        const response = await fetch(base + path, { method, headers: given, body, signal: both, cache: "no-store" });
        if (!response.ok) throw await Refused.of(response);
        return response;
      } catch (error) {
        const wait = Math.max(FIRST_DELAY * 2 ** tries, (error.retryAfter ?? 0) * 1000);
        const isFinal = error instanceof Refused && !error.isTransient;
        if (isFinal || signal?.aborted || Date.now() + wait > end) throw error;
        await new Promise((resolve) => setTimeout(resolve, wait));
        signal?.throwIfAborted();
      } finally {
        clearTimeout(timer);
      }
    }
  }

  async function read(method, path, options) {
    const response = await ask(method, path, options);
    if (response.status === 204) return undefined;
    if (response.headers.get("content-type")?.startsWith(JSON_TYPE)) return response.json();
    throw new Refused({ code: "not_statecast", message: `expected a Statecast server at ${base}, got another` }, response.status);
  }

  /** Delete something; what is gone already, perhaps because it was deleted before, is no failure. */
  const remove = async (path) => {
    try {
      await read("DELETE", path);
    } catch (error) {
      if (error.status !== 404) throw error;
    }
  };

  // Threads

  const pathOf = (threadId) => `/threads/${encodeURIComponent(threadId)}`;
  const patch = async (threadId, fields) => void (await read("PATCH", pathOf(threadId), { json: fields }));

  const threadList = Object.freeze({
    list: async ({ after } = {}) => {
      const query = after === undefined ? "" : `?after=${encodeURIComponent(after)}`;
      const { threads, nextCursor } = await read("GET", `/threads${query}`);
      return { threads: threads.map(listed), nextCursor };
    },
    initialize: async (localId) => {
      if (!fresh.has(localId)) fresh.set(localId, newId("thr"));
      return read("POST", "/threads", { json: { threadId: fresh.get(localId) } });
    },
    rename: (threadId, title) => patch(threadId, { title }),
    updateCustom: (threadId, custom = null) => patch(threadId, { custom }),
    archive: (threadId) => patch(threadId, { status: "archived" }),
    unarchive: (threadId) => patch(threadId, { status: "regular" }),
    delete: (threadId) => remove(pathOf(threadId)),
    fetch: async (threadId) => listed(await read("GET", pathOf(threadId))),
    generateTitle: async (threadId, messages) => {
      const said = messages.map(({ id, role, content }) => ({ id, role, content: content.filter(isText) }));
      return titleStream(await ask("POST", `${pathOf(threadId)}/title`, { json: { messages: said } }));
    },
  });

  /** Return the id of a thread; undefined where it is new, and the server does not know it. */
  const idOf = (item) => (typeof item === "string" ? item : item().getState().remoteId);

  /** Return the id of a thread that is made if it is new. */
  const needed = async (item) => {
    if (typeof item !== "string") return (await item().initialize()).remoteId;
    if (!made.has(item)) made.set(item, read("POST", "/threads", { json: { threadId: item } }));
    try {
      await made.get(item);
    } catch (error) {
      made.delete(item);
      throw error;
    }
    return item;
  };

  const placeOf = (threadId) => {
    if (!places.has(threadId)) places.set(threadId, { last: Promise.resolve(), ids: new Map() });
    return places.get(threadId);
  };

  /** Return the server's id of a message. */
  const ownOf = (threadId, id) => placeOf(threadId).ids.get(id) ?? id;

  /** Do `work(own)` when what was to be written before is written; `own` returns the server's id of a message. */
  const inOrder = (threadId, work) => {
    const place = placeOf(threadId);
    const done = place.last.then(() => work((id) => ownOf(threadId, id)));
    place.last = done.catch(() => {});
    return done;
  };

  // Histories

  const load = async (item, format) => {
    const threadId = idOf(item);
    if (threadId === undefined) return { messages: [] };
    try {
      return await read("GET", `${pathOf(threadId)}/messages?format=${encodeURIComponent(format)}`);
    } catch (error) {
      if (typeof item === "string" && error.code === "unknown_thread") return { messages: [] }; // not yet
      throw error;
    }
  };

  const write = async (item, format, id, parentId, message) => {
    const threadId = await needed(item);
    await inOrder(threadId, (own) => {
      const above = parentId === null ? null : own(parentId);
      const path = `${pathOf(threadId)}/messages/${encodeURIComponent(own(id))}?format=${encodeURIComponent(format)}`;
      return read("PUT", path, { json: { parentId: above, message } });
    });
  };

  const drop = async (item, ids) => {
    const threadId = idOf(item);
    if (threadId === undefined) return;
    for (const id of ids) {
      await inOrder(threadId, (own) => remove(`${pathOf(threadId)}/messages/${encodeURIComponent(own(id))}`));
    }
  };

  const history = (item) => ({
    load: async () => {
      const { messages, ...rest } = await load(item, FORMAT);
      return { ...rest, messages: messages.map(({ message, parentId }) => ({ message: revived(message), parentId })) };
    },
    append: async ({ message, parentId }) => {
      if (!left.has(message.id)) await write(item, FORMAT, message.id, parentId, stored(message));
    },
    update: ({ message, parentId }) => write(item, FORMAT, message.id, parentId, stored(message)),
    delete: (items) => drop(item, items.map(({ message }) => message.id)),
    resume: (options) => follow(item, options),
    withFormat: ({ format, encode, decode, getId }) => {
      let pinned = item;
      const put = (entry, id = getId(entry.message)) => write(pinned, format, id, entry.parentId, encode(entry));
      return {
        pin: () => {
          pinned = typeof item === "string" ? item : keyed(item());
        },
        load: async () => {
          const { messages, headId } = await load(item, format);
          const entries = messages.map(({ message: { id, createdAt, ...content }, parentId }) =>
            decode({ id, parent_id: parentId, format, content }),
          );
          return { headId, messages: entries };
        },
        append: (entry) => put(entry),
        update: (entry, localId) => put(entry, localId),
        delete: (entries) => drop(pinned, entries.map(({ message }) => getId(message))),
      };
    },
  });

  // Answers

  /** Yield an answer as it grows, until its run ends: the one that `begun` tells of, or that is being made. */
  async function* follow(item, options, begun) {
    const { abortSignal, unstable_assistantMessageId: localId, unstable_getMessage } = options;
    const threadId = idOf(item) ?? begun?.threadId;
    if (threadId === undefined) return;
    const place = placeOf(threadId);
    if (begun?.runId === undefined) place.thread = undefined; // what it knows may be old
    place.thread ??= connect(base, threadId, { headers, fetch });
    const { thread } = place;
    const had = unstable_getMessage?.().content ?? []; // an answer may go on after a tool of the page
    let wake;
    let isLate = false;
    const changed = () => wake?.();
    const late = () => changed((isLate = true));
    const timer = begun?.lost && setTimeout(late, patience);
    const unsubscribe = thread.subscribe(changed);
    abortSignal?.addEventListener("abort", changed);
    try {
      let from, shown;
      let runId = begun?.runId;
      for (;;) {
        const next = new Promise((resolve) => (wake = resolve));
        const { cursor, revision, state, run, isRunning, parts, connection, error } = thread.getSnapshot();
        if (abortSignal?.aborted) {
          if (!isLeft(options)) cancel(threadId, runId).catch(onError);
          return;
        }
        if (connection === "refused" || connection === "unknown") throw begun?.lost ?? error;
        if (isLate && cursor === null) throw begun.lost;
        if (cursor !== null && revision >= (begun?.shows ?? 0)) {
          if (begun?.lost && !isRunning) throw begun.lost;
          if (run === null) return;
          runId ??= run.id;
          const messages = (state && messagesOf(state)) ?? [];
          from ??= answerAt(messages, options.unstable_parentId);
          const said = answerIn(messages, from).filter(({ id }) => !begun?.old.has(id));
          const isOurs = run.id === runId;
          const whole = [...said.flatMap((message) => message.parts ?? []), ...(isOurs ? parts : [])];
          const content = newIn(whole, had);
          const last = said.at(-1)?.id;
          if (localId !== undefined && typeof last === "string") place.ids.set(localId, last);
          if (content.length > 0 && !isSame(content, shown)) yield { content: (shown = content) };
          if (!isOurs) return;
          if (!isRunning) {
            const status = statusOf(run, content);
            if (status !== undefined) yield { status };
            return;
          }
        }
        await next;
      }
    } finally {
      clearTimeout(timer);
      abortSignal?.removeEventListener("abort", changed);
      unsubscribe();
    }
  }

  const chatModel = (item) => ({
    async *run(options) {
      const { messages, context, runConfig, abortSignal, unstable_getMessage } = options;
      const threadId = await needed(item);
      const said = unstable_getMessage === undefined ? messages : [...messages, unstable_getMessage()];
      const { system, callSettings, config } = context ?? {};
      const posted = said.map((message) => ({ id: ownOf(threadId, message.id), ...stored(message) }));
      const json = { threadId, messages: posted, truncate: true, runConfig, system, callSettings, config };
      const isNew = !unstable_getMessage?.().content.length;
      const old = new Set(isNew ? answersIn(placeOf(threadId).thread?.getSnapshot().state) : []);
      const asked = begin(threadId, json, old);
      const begun = await Promise.race([asked, aborted(abortSignal)]);
      if (begun !== undefined) yield* follow(item, options, begun);
      else if (!isLeft(options)) stop(threadId, asked).catch(onError);
    },
  });

  /** Return the ids of the answers in a state. */
  const answersIn = (state) => {
    const messages = (state && messagesOf(state)) ?? [];
    return messages.filter(({ id, role }) => role === "assistant" && typeof id === "string").map(({ id }) => id);
  };

  /** Ask for an answer in place of any `old` one; what comes of it is followed elsewhere. */
  const begin = async (threadId, json, old) => {
    try {
      const { body, headers } = await ask("POST", "/sse?onDisconnect=continue", { json, isOnce: true });
      await body.cancel();
      const revision = Number(headers.get("statecast-cursor").split("-").pop());
      return { threadId, old, shows: revision + 1, runId: headers.get("statecast-run-id") };
    } catch (error) {
      if (error instanceof Refused) throw error;
      return { threadId, old, lost: error }; // the connection is; the run may have begun
    }
  };

  /** Whether a page is left, which lets an answer go on; to stop it is to stop its run. */
  const isLeft = ({ abortSignal, unstable_assistantMessageId: id }) => {
    if (abortSignal.reason?.detach !== true) return false;
    left.add(id);
    return true;
  };

  const cancel = async (threadId, runId) => {
    try {
      return (await read("POST", "/cancel", { json: { threadId, runId } })).cancelled;
    } catch (error) {
      if (error.code === "run_mismatch" || error.code === "unknown_thread") return false; // gone, or not there yet
      throw error;
    }
  };

  /** Stop a run that has not been heard of. */
  const stop = async (threadId, asked) => {
    if (!(await cancel(threadId))) await cancel(threadId, (await asked).runId);
  };

  // The rest

  const feedback = (item) => ({
    submit: ({ message, type, comment }) => {
      const threadId = idOf(item);
      const send = (own) =>
        read("POST", `${pathOf(threadId)}/messages/${encodeURIComponent(own(message.id))}/feedback`, {
          json: { type, comment },
        });
      inOrder(threadId, send).catch(onError);
    },
  });

  const suggestions = (item) => ({
    async *generate({ signal }) {
      const threadId = idOf(item);
      if (threadId === undefined) return;
      await placeOf(threadId).last;
      const response = await ask("POST", `${pathOf(threadId)}/suggestions`, { json: {}, signal });
      for await (const line of linesOf(response.body)) yield JSON.parse(line);
    },
  });

  const attachments = Object.freeze({
    accept,
    async *add({ file }) {
      const upload = { control: new AbortController() };
      const type = kindOf(file.type);
      const attachment = { id: newId("att"), type, name: file.name, contentType: file.type, file };
      uploads.set(attachment.id, upload);
      yield { ...attachment, status: { type: "running", reason: "uploading", progress: 0 } };
      const { signal } = upload.control;
      try {
        signal.throwIfAborted();
        const path = `/attachments?name=${encodeURIComponent(file.name)}`;
        upload.kept = await read("POST", path, { file, signal, isOnce: true });
        yield { ...attachment, status: { type: "requires-action", reason: "composer-send" } };
      } catch (error) {
        if (signal.aborted) return;
        yield { ...attachment, status: { type: "incomplete", reason: "error", message: error.message } };
      }
    },
    remove: async ({ id }) => {
      const upload = uploads.get(id);
      upload?.control.abort();
      if (upload?.kept === undefined || upload.isSent) return; // a message has it
      uploads.delete(id);
      await remove(`/attachments/${encodeURIComponent(upload.kept.id)}`);
    },
    send: async (attachment) => {
      const upload = uploads.get(attachment.id);
      if (upload?.kept === undefined) throw new Error(`expected "${attachment.name}" to be uploaded`);
      upload.isSent = true;
      const { url, contentType } = upload.kept;
      const filename = attachment.name;
      const isImage = kindOf(contentType) === "image";
      const part = isImage
        ? { type: "image", image: url, filename }
        : { type: "file", data: url, mimeType: contentType, filename };
      return { ...attachment, contentType, status: { type: "complete" }, content: [part] };
    },
  });

  const thread = (item) =>
    Object.freeze({
      history: history(item),
      attachments,
      feedback: feedback(item),
      suggestion: suggestions(item),
    });

  const hooks = (useAui) => {
    const known = new WeakMap(); // by what the hook returns: the same adapters as long as that is the same
    const useOwn = () => {
      const aui = useAui();
      const item = () => itemIn(aui);
      if (!known.has(aui)) known.set(aui, { adapters: thread(item), model: chatModel(item) });
      return known.get(aui);
    };
    const adapter = Object.freeze({ ...threadList, unstable_useAdapters: () => useOwn().adapters });
    return Object.freeze({ adapter, useChatModel: () => useOwn().model });
  };

  return Object.freeze({ hooks, threadList, thread, chatModel, history, attachments, feedback, suggestions });
}

// Threads

const listed = ({ lastMessageAt, ...thread }) => ({
  ...thread,
  ...(lastMessageAt !== undefined && { lastMessageAt: new Date(lastMessageAt) }),
});

/** Return the item of a thread in the page's list, which stays that thread's; else the one that is shown. */
function itemIn(aui) {
  const { id } = aui.threadListItem.getState();
  const isListed = aui.threads.getState().threadItems.some((item) => item.id === id);
  return isListed ? aui.threads.item({ id }) : aui.threadListItem;
}

const keyed = (item) => () => item;

/** Return a title as assistant-stream has one: a message of one text. */
const titleStream = (response) => {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  return new ReadableStream({
    start: (controller) => controller.enqueue({ type: "part-start", path: [], part: { type: "text" } }),
    pull: async (controller) => {
      const { done, value } = await reader.read();
      const textDelta = decoder.decode(value, { stream: !done });
      if (textDelta !== "" || !done) controller.enqueue({ type: "text-delta", path: [0], textDelta });
      if (!done) return;
      controller.enqueue({ type: "part-finish", path: [0] });
      controller.close();
    },
    cancel: (reason) => reader.cancel(reason),
  });
};

// Messages

const isText = ({ type }) => type === "text";

/** Return a message as it is stored: without what is no JSON, or is the server's to say. */
const stored = ({ id, createdAt, attachments, status, ...message }) => ({
  ...message,
  ...(attachments && { attachments: attachments.map(({ file, ...attachment }) => attachment) }),
  ...(status && { status: status.error instanceof Error ? { ...status, error: toldOf(status.error) } : status }),
});

const toldOf = ({ code = "unknown", message }) => ({ code, message });

/** Return a message that was stored, with dates, and with what was left out. */
function revived({ createdAt, content, metadata, ...message }) {
  const isAnswer = message.role === "assistant";
  const own = isAnswer && { unstable_state: null, unstable_annotations: [], unstable_data: [], steps: [] };
  const parts = typeof content === "string" ? [{ type: "text", text: content }] : content;
  return {
    ...(isAnswer && { status: { type: "complete", reason: "unknown" } }),
    ...(message.role === "user" && { attachments: [] }),
    ...message,
    createdAt: new Date(createdAt ?? Date.now()),
    content: parts.map((part) => (part.type === "tool-call" ? revivedCall(part) : part)),
    metadata: { ...own, custom: {}, ...metadata },
  };
}

/** Return a tool call with its arguments as a value and as text, of which one may be stored. */
function revivedCall({ args, argsText, messages, ...call }) {
  return {
    ...call,
    args: args ?? valueOf(argsText) ?? {},
    argsText: argsText ?? JSON.stringify(args ?? {}),
    ...(messages && { messages: messages.map(revived) }),
  };
}

const valueOf = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // it was cut off
  }
};

// What is followed

/** Return where the answer to a message begins, or else that to the last one of the user. */
const answerAt = (messages, id = null) => {
  const named = id === null ? -1 : messages.findIndex((message) => message.id === id);
  return 1 + (named === -1 ? messages.findLastIndex(({ role }) => role === "user") : named);
};

/** Return the messages of an answer that begins at a place. */
const answerIn = (messages, from) => {
  const end = messages.findIndex(({ role }, index) => index >= from && role === "user");
  const answer = messages.slice(from, end === -1 ? undefined : end);
  return answer.filter(({ role }) => role === "assistant");
};

/** Return what parts have more than those that a message has already. */
const newIn = (parts, had) => {
  const [last, now] = [had.at(-1), parts[had.length - 1]];
  const grew = typeof last?.text === "string" && now?.type === last.type;
  const more = grew ? now.text.slice(last.text.length) : "";
  return [...(more === "" ? [] : [{ type: last.type, text: more }]), ...parts.slice(had.length)];
};

const isSame = (one, other) => one.length === other?.length && one.every((part, index) => part === other[index]);

/** Return how an answer stands when its run is over; undefined if it is complete. Throws where the run failed. */
const statusOf = ({ status, error }, content) => {
  if (status === "cancelled") return { type: "incomplete", reason: "cancelled" };
  if (status === "failed" || status === "interrupted") {
    const message = error?.message ?? "the server ended while it answered";
    throw Object.assign(new Error(message), { code: error?.code ?? "interrupted" });
  }
  const isAsking = content.some((part) => part.type === "tool-call" && part.result === undefined);
  return isAsking ? { type: "requires-action", reason: "tool-calls" } : undefined;
};

// Small things

/** Resolve when something is given up; never, if it cannot be. */
const aborted = (signal) =>
  new Promise((resolve) => {
    if (signal?.aborted) resolve();
    signal?.addEventListener("abort", () => resolve(), { once: true });
  });

/** Yield the lines of a stream that are not empty. */
async function* linesOf(stream) {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop();
      yield* lines.filter((line) => line !== "");
    }
  } finally {
    await reader.cancel();
  }
}

const kindOf = (contentType) =>
  contentType.startsWith("image/") ? "image" : contentType.startsWith("text/") ? "document" : "file";

/** Return a fresh id such as `thr_4b1c…`, which nobody else has. */
function newId(kind) {
  const bytes = crypto.getRandomValues(new Uint8Array(10));
  return `${kind}_${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
