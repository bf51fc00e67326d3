// @ts-self-types="./client.d.ts"
/**
 * A thread in a page: its state as immutable snapshots, followed whatever the connection does, and commands sent once.
 *
 *     const thread = connect("http://127.0.0.1:8000", "t-1");
 *     const { state } = useSyncExternalStore(thread.subscribe, thread.getSnapshot);
 *     await thread.send("Hello");
 *
 * For browsers and Node.js 20, without a build and without dependencies. What is public is described in client.d.ts.
 *
 * Rule 1: a snapshot is frozen, and whatever is equal in the next one is the same object there.
 * Rule 2: what is sent happens once. Every command gets an id before it is sent first, so that it may be sent again.
 * Rule 3: a connection is nothing. Whatever breaks is taken up where it was, for as long as someone is subscribed.
 */

const FIRST_DELAY = 100; // ms before the first further try; each wait doubles, less up to half of it by chance
const LAST_DELAY = 5_000; // ms that no wait exceeds, unless the server asks for more; also for a thread to be made
const PATIENCE = 30_000; // ms for the answer to a request
const SILENCE = 45_000; // ms without a byte after which a stream is dead; the server's heartbeat comes every 15 seconds
const FOREVER = 2 ** 31 - 1; // ms, as far as a timer counts
const SHOWN = 300; // ms after which what was accepted is pending no more, even if nothing came of it

/** Statuses after which another try may go well. */
const TRANSIENT = new Set([408, 429, 502, 503, 504]);
/** What a socket takes; all else is a request of its own. */
const ON_SOCKET = new Set(["commands", "cancel"]);
const FORBIDDEN = new Set(["__proto__", "constructor", "prototype"]);
const INDEX = /^(0|[1-9][0-9]{0,15})$/;
const EVENTS = "text/event-stream";
const JSON_TYPE = "application/json";
const NONE = Object.freeze([]);
const NOTHING = { state: null, run: null, isRunning: false, parts: NONE, queued: NONE, revision: 0, cursor: null };

export class Refused extends Error {
  name = "Refused";
  constructor({ code, message, ...details }, status, retryAfter = 0) {
    super(message);
    Object.assign(this, { code, status, details, retryAfter });
  }
  get isTransient() {
    return TRANSIENT.has(this.status);
  }
  static async of(response) {
    const text = await response.text();
    const status = `${response.status} ${response.statusText}`.trim();
    const where = response.url && ` from ${response.url.split("?")[0]}`;
    let error = { code: "http_error", message: `expected an answer of Statecast, got ${status}${where}` };
    try {
      const said = JSON.parse(text).error;
      if (typeof said.code === "string") error = said;
    } catch {
      // It is none of ours.
    }
    return new Refused(error, response.status, Number(response.headers.get("retry-after")) || 0);
  }
}

export class OperationError extends Error {
  name = "OperationError";
}

export function connect(url, id, options = {}) {
  const { agent, headers, webSocket = false, isNew = id === null, silence = SILENCE, onFrame } = options;
  const { fetch = globalThis.fetch } = options;
  const threadId = id ?? newId("thr");
  const page = globalThis.location;
  const base = new URL(url || "/", page?.href).href.replace(/\/+$/, "");
  const path = `${base}/threads/${encodeURIComponent(threadId)}`;
  const Socket = webSocket === true ? globalThis.WebSocket : webSocket;
  if (Socket === undefined) throw new TypeError("expected the class of a WebSocket: there is none here");

  const listeners = new Set();
  const outbox = []; // what is to be sent, in order; the first is under way, or is not shown yet
  const pauses = new Set(); // each ends a pause
  const controls = new Map(); // what aborts the request that follows, and the one that sends
  const asked = new Map(); // over a socket, what waits for its answer, by `ref`
  let snapshot = Object.freeze({ ...NOTHING, pending: NONE, connection: "idle", error: null });
  let isNews = false; // whether listeners are to be told
  let cursor = null; // where the next stream goes on; null: at a snapshot
  let queue; // what this connection has said of the queue; undefined: nothing yet
  let isAbsent = isNew; // until the first commands are accepted
  let latest; // the run that the commands accepted last led to
  let link = null; // a socket that is open
  let heard = 0; // when the connection was alive last, by the clock that goes on while a laptop sleeps
  let following = false;
  let delivering = false;
  let closed = false;

  // What is known

  const note = (changes) => {
    snapshot = Object.freeze({ ...snapshot, ...changes });
    isNews = true;
  };
  const tell = (changes) => {
    if (changes) note(changes);
    const queued = kept(snapshot.queued, queue ?? snapshot.queued);
    if (queued !== snapshot.queued) note({ queued });
    if (!isNews) return;
    isNews = false;
    for (const listener of [...listeners]) called(listener);
  };
  const take = (frame) => {
    if (onFrame) called(onFrame, frame);
    if (frame.type === "queued") return void (queue = frame.queued); // no entry of the log
    queue ??= NONE; // a queue that is not empty comes behind the first entries
    if (frame.type !== "snapshot") {
      if (cursor === null) throw new OperationError("expected a snapshot first");
      if (frame.revision <= snapshot.revision) return;
    }
    cursor = null; // should this fail, a snapshot mends it
    note(viewed(snapshot, frame));
    cursor = frame.cursor;
    if (outbox.length > 0) {
      note({ pending: pending() });
      wake(); // it may be what is waited for
    }
  };

  // Following

  const isWanted = () => !closed && (listeners.size > 0 || (Socket && outbox.length > 0));
  const place = () => (cursor === null ? "" : `?cursor=${encodeURIComponent(cursor)}`);
  const opened = () => {
    if (snapshot.connection !== "open") note({ connection: "open", error: null });
  };

  async function follow() {
    if (following || !isWanted()) return;
    following = true;
    globalThis.addEventListener?.("online", resumed);
    globalThis.document?.addEventListener("visibilitychange", resumed);
    if (isAbsent && !(Socket && outbox.length > 0)) {
      tell({ connection: "unknown" });
      await pause(FOREVER); // until its first commands are accepted, or a socket is wanted for them
    }
    for (let tries = 0; isWanted(); ) {
      queue = undefined;
      tell({ connection: snapshot.connection === "unknown" ? "unknown" : "connecting" });
      try {
        const work = Socket ? readSocket : readEvents;
        heard = Date.now();
        const told = (alive) => () => (alive(), (heard = Date.now()), (tries = 0));
        await watched("follow", silence, (signal, alive) => work(signal, told(alive)));
      } catch (error) {
        if (!isWanted()) break;
        const unknown = error.code === "unknown_thread";
        tell({ connection: unknown ? "unknown" : isFinal(error) ? "refused" : "connecting", error });
        if (snapshot.connection === "refused") break;
        await pause(unknown ? LAST_DELAY : delay(tries++, error));
      }
    }
    following = false;
    globalThis.removeEventListener?.("online", resumed);
    globalThis.document?.removeEventListener("visibilitychange", resumed);
    if (!closed && snapshot.connection !== "refused") tell({ connection: "idle", error: null });
  }

  /** Try at once what waits; a connection that was silent for long is most likely dead, though nothing has told so. */
  const resumed = () => {
    if (Date.now() - heard > silence / 2) controls.get("follow")?.abort(new Error("the server is silent"));
    wake();
  };

  async function readEvents(signal, alive) {
    const response = await request(`${path}/events${place()}`, EVENTS, { signal });
    opened();
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    let pieces = []; // of a line that has not ended: a long state comes in many
    let id, data, named;
    for (;;) {
      tell(); // once for all that came together
      const { done, value } = await reader.read();
      if (done) throw new Error("the stream ended");
      alive();
      const text = decoder.decode(value, { stream: true });
      pieces.push(text);
      if (!text.includes("\n")) continue;
      const lines = pieces.join("").split("\n");
      pieces = [lines.pop()];
      for (const line of lines) {
        if (line.startsWith("id: ")) id = line.slice(4);
        else if (line.startsWith("data: ")) data = line.slice(6);
        else if (line.startsWith("event: ")) named = true; // says why the stream ends, which does as well
        else if (line === "" && data !== undefined) {
          if (!named) take({ ...JSON.parse(data), cursor: id });
          data = named = undefined;
        }
      }
    }
  }

  const readSocket = (signal, alive) =>
    new Promise((_, reject) => {
      const socket = new Socket(`${path.replace(/^http/, "ws")}/ws${place()}`);
      const end = (error) => {
        socket.onopen = socket.onmessage = socket.onclose = link = null;
        socket.close();
        for (const waiting of asked.values()) waiting.reject(new Error("the socket was closed before the answer"));
        asked.clear();
        reject(error);
      };
      socket.onopen = () => {
        link = socket;
        if (outbox.length > 0) wake(); // a first frame of commands makes a thread that is not there yet
        else socket.send('{"type":"ping"}'); // behind any other, the socket of one that is not there is closed
      };
      socket.onmessage = ({ data }) => {
        alive();
        try {
          for (const line of data.split("\n")) if (line !== "") hear(JSON.parse(line));
        } catch (error) {
          end(error);
        }
        tell();
      };
      socket.onclose = ({ code }) => {
        const message = `expected the id of a thread, got "${threadId}", which this server does not know`;
        if (code === 4404) end(new Refused({ code: "unknown_thread", message }, 404));
        else end(link === socket ? new Error(`the socket was closed (${code})`) : unreachable());
      };
      socket.onerror = () => {}; // the close that follows says it
      signal.addEventListener("abort", () => end(signal.reason), { once: true });
    });

  const hear = (frame) => {
    const waiting = asked.get(frame.ref);
    asked.delete(frame.ref);
    if (frame.type === "ack") waiting?.resolve({ ...frame, shows: frame.revision });
    else if (frame.type === "refused") waiting?.reject(new Refused(frame.error, frame.status, frame.retryAfter));
    else if (frame.type !== "pong") opened();
    if ("cursor" in frame && frame.type !== "ack") take(frame);
  };

  // Sending

  const ask = (type, body, commands = NONE) =>
    new Promise((resolve, reject) => {
      if (closed) return reject(gone());
      outbox.push({ type, body, commands, key: newId(type), resolve, reject });
      tell({ pending: pending() });
      if (Socket) void follow();
      void deliver();
    });
  const pending = () => {
    const hidden = outbox.filter(({ shows }) => !(shows <= snapshot.revision));
    return kept(snapshot.pending, hidden.flatMap(({ commands }) => commands));
  };

  async function deliver() {
    if (delivering) return;
    delivering = true;
    for (let tries = 0; outbox.length > 0; ) {
      const [item] = outbox;
      try {
        const answer = await (Socket && ON_SOCKET.has(item.type) ? sendOnSocket : post)(item);
        if (item.type === "commands") latest = answer.runId ?? latest;
        isAbsent = false;
        item.resolve(answer);
        wake(); // a thread that was not there is there now
        void follow(); // one that was refused may be allowed now, as this was
        item.shows = answer.shows;
        await shown(item);
      } catch (error) {
        if (!isFinal(error)) {
          reached(error);
          await pause(delay(tries++, error));
          continue;
        }
        reached(null);
        item.reject(error);
      }
      outbox.shift();
      tries = 0;
      tell({ pending: pending() });
    }
    delivering = false;
    stop();
  }

  /** Show whether the server is there, of which only the first commands of a thread tell that is not followed yet. */
  const reached = (error) => {
    if (Socket || !isAbsent || !following) return;
    tell({ connection: error === null ? "unknown" : "connecting", error });
  };

  const post = ({ type, body, key }) =>
    watched("deliver", PATIENCE, async (signal) => {
      const sent = { method: "POST", body: JSON.stringify(body()), signal };
      if (type === "cancel") return (await request(`${base}/cancel`, JSON_TYPE, sent)).json();
      if (type !== "commands") return (await request(`${path}/${type}`, JSON_TYPE, { ...sent, key })).json();
      const response = await request(`${base}/assistant?protocol=assistant-transport`, EVENTS, sent);
      await response.body?.cancel(); // what comes of it is followed elsewhere
      const at = response.headers.get("statecast-cursor"); // where its stream starts: what comes of it is behind that
      return { runId: response.headers.get("statecast-run-id"), cursor: at, shows: Number(at?.split("-").pop()) + 1 };
    });

  const sendOnSocket = ({ type, body }) =>
    new Promise((resolve, reject) => {
      if (link === null) {
        wake(); // to connect at once
        return reject(new Error("there is no connection"));
      }
      const ref = newId("ref");
      asked.set(ref, { resolve, reject });
      link.send(JSON.stringify({ ...body(), type, ref }));
    });

  /** Wait until the state shows what was accepted: so it is pending or in the state, and not for a moment neither. */
  const shown = async ({ shows }) => {
    const end = Date.now() + SHOWN;
    while (listeners.size > 0 && snapshot.revision < shows && Date.now() < end) await pause(end - Date.now());
  };

  async function request(address, kind, { key, ...init }) {
    const given = new Headers(typeof headers === "function" ? await headers() : headers);
    given.set("accept", kind);
    if (init.body !== undefined) given.set("content-type", JSON_TYPE);
    if (key !== undefined) given.set("idempotency-key", key); // so it happens once, however often it is sent
    const response = await fetch(address, { cache: "no-store", ...init, headers: given }).catch((error) => {
      throw error instanceof TypeError ? unreachable(error) : error;
    });
    if (!response.ok) throw await Refused.of(response);
    const type = response.headers.get("content-type") ?? "nothing";
    if (type.startsWith(kind)) return response;
    const message = `expected a Statecast server at ${base}, got ${type} from ${address.split("?")[0]}`;
    throw new Refused({ code: "not_statecast", message }, response.status);
  }

  /** A browser does not say why a request got no answer: say what there is to look at. */
  const unreachable = (cause) => {
    const isForeign = page?.origin !== undefined && page.origin !== new URL(base).origin;
    const allowed = isForeign ? `, and is ${page.origin} one of its cors_origins` : "";
    return new Error(`expected an answer from ${base}, got none: is the server running${allowed}?`, { cause });
  };

  // Time

  const wake = () => pauses.forEach((end) => end());
  const pause = (ms) =>
    new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        pauses.delete(end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      pauses.add(end);
    });

  /** Do `work(signal, alive)`; it is aborted where `ms` pass without a sign of life, and what is left at its end. */
  async function watched(name, ms, work) {
    const control = new AbortController();
    let timer;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => control.abort(new Error("the server is silent")), ms);
    };
    controls.set(name, control);
    alive();
    try {
      return await work(control.signal, alive);
    } finally {
      clearTimeout(timer);
      control.abort();
    }
  }

  const stop = () => {
    if (isWanted()) return;
    controls.get("follow")?.abort();
    wake();
  };

  return Object.freeze({
    id: threadId,
    getSnapshot: () => snapshot,
    subscribe: (listener) => {
      const own = () => listener(); // one function may be subscribed twice
      listeners.add(own);
      void follow();
      return () => {
        listeners.delete(own);
        setTimeout(stop); // React subscribes again at once
      };
    },
    send: async (given, fields = {}) => {
      const commands = (Array.isArray(given) ? given : [given]).map(commandOf);
      const sent = { agent, ...fields, threadId, commands, onDisconnect: "continue" };
      const body = kept(null, JSON.parse(JSON.stringify(sent))); // as it is now, whatever becomes of what was given
      const { runId, cursor } = await ask("commands", () => body, body.commands);
      return { runId, cursor };
    },
    cancel: async ({ runId, queued = false } = {}) => {
      const active = () => (isActive(snapshot.run) ? snapshot.run.id : latest);
      let body; // made when it is sent first, and named: so another try stops no later run
      try {
        return (await ask("cancel", () => (body ??= { threadId, queued, runId: runId ?? active() }))).cancelled;
      } catch (error) {
        if (runId === undefined && error.code === "run_mismatch") return false; // it ended by itself meanwhile
        throw error;
      }
    },
    fork: async (revision, id) => {
      const made = id ?? newId("thr");
      try {
        return (await ask("fork", () => ({ revision, threadId: made }))).threadId;
      } catch (error) {
        if (id === undefined && error.code === "thread_exists") return made; // by an earlier try: nobody else knows it
        throw error;
      }
    },
    rewind: async (revision, { cancel = false } = {}) => {
      const { cursor } = await ask("rewind", () => ({ revision, cancel }));
      return cursor;
    },
    runs: async () => (await (await request(`${path}/runs`, JSON_TYPE, {})).json()).runs,
    retry: async (runId) => {
      const sent = { method: "POST", body: JSON.stringify({ runId }) };
      return (await (await request(`${path}/retry`, JSON_TYPE, sent)).json()).runId;
    },
    reconnect: () => {
      wake();
      void follow();
    },
    close: () => {
      closed = true;
      for (const { reject } of outbox.splice(0)) reject(gone());
      for (const control of controls.values()) control.abort();
      wake();
      tell({ connection: "closed", error: null, pending: NONE });
    },
  });
}

export function apply(state, operations) {
  const own = new Set(); // what this batch has made, and may still change
  for (const operation of operations) state = applied(state, operation, 0, own);
  for (const container of own) Object.freeze(container);
  return state;
}

function applied(value, operation, depth, own) {
  const { type, path } = operation;
  if (depth === path.length) {
    if (type === "set") return kept(value, operation.value);
    if (type === "append-text" && typeof value === "string") return value + operation.value;
    throw new OperationError(`expected a text to append to at /${path.join("/")}, got "${type}" on ${typeof value}`);
  }
  const segment = path[depth];
  const above = value ?? {};
  const isList = Array.isArray(above);
  const fits = !FORBIDDEN.has(segment) && (!isList || (INDEX.test(segment) && Number(segment) <= above.length));
  if (typeof above !== "object" || !fits) {
    const what = isList ? `a list of ${above.length}` : typeof above;
    throw new OperationError(`expected a path that fits, got "${segment}" in /${path.join("/")}, where ${what} is`);
  }
  const was = Object.hasOwn(above, segment) ? above[segment] : undefined;
  const below = applied(was ?? null, operation, depth + 1, own);
  if (below === was) return above;
  const container = own.has(above) ? above : isList ? [...above] : { ...above };
  own.add(container);
  container[segment] = below;
  return container;
}

/** Return `after` as a frozen copy, with every part of `before` in it that is equal. */
function kept(before, after) {
  if (after === null || typeof after !== "object") return after;
  const isList = Array.isArray(after);
  const isAlike = before !== null && typeof before === "object" && Array.isArray(before) === isList;
  const keys = Object.keys(after);
  const copy = isList ? [] : {};
  let same = isAlike && Object.keys(before).length === keys.length;
  for (const key of keys) {
    if (FORBIDDEN.has(key)) throw new OperationError(`expected keys that may be set, got "${key}"`);
    const was = isAlike && Object.hasOwn(before, key) ? before[key] : undefined;
    copy[key] = kept(was, after[key]);
    same &&= copy[key] === was;
  }
  return same ? before : Object.freeze(copy);
}

/** Return what a frame changes of a snapshot. */
function viewed({ state, run, parts }, frame) {
  const { type, revision, cursor } = frame;
  if (type === "update-state") return { state: apply(state, frame.operations), revision, cursor };
  if (type !== "snapshot" && type !== "run") return { parts: grown(parts, frame), revision, cursor };
  const now = kept(run, frame.run ?? null);
  const isRunning = now?.status === "running" || now?.status === "queued";
  const changes = { run: now, isRunning, revision, cursor };
  if (type === "run") return { ...changes, parts: now.id === run?.id ? parts : NONE };
  return { ...changes, state: kept(state, frame.state), parts: kept(parts, (frame.parts ?? []).reduce(grown, NONE)) };
}

/** Return a run's message parts with one more chunk. */
function grown(parts, { type, path, part, textDelta, runId, revision, cursor, ...fields }) {
  if (type === "part-start") {
    const text = { text: "text", reasoning: "text", "tool-call": "argsText" }[part.type];
    return Object.freeze([...parts, kept(null, text === undefined ? part : { ...part, [text]: "" })]);
  }
  const old = parts[path[0]];
  if (old === undefined || (type !== "text-delta" && type !== "result")) return parts;
  const text = old.type === "tool-call" ? "argsText" : "text";
  const more = type === "result" ? kept(null, fields) : { [text]: old[text] + textDelta };
  return Object.freeze(parts.with(path[0], Object.freeze({ ...old, ...more })));
}

/** Call what a page has given; its mistakes are its own, and no reason to reconnect. */
function called(given, ...values) {
  try {
    given(...values);
  } catch (error) {
    (globalThis.reportError ?? console.error)(error);
  }
}

const isActive = (run) => ["queued", "running", "waiting"].includes(run?.status);
const isFinal = (error) => error instanceof Refused && !error.isTransient;
const gone = () => new DOMException("the thread was closed in this page", "AbortError");
const delay = (tries, { retryAfter = 0 }) =>
  Math.max(Math.min(FIRST_DELAY * 2 ** tries, LAST_DELAY) * (1 - Math.random() / 2), retryAfter * 1000);

/** Return a fresh id such as `cmd_4b1c…`. Without `crypto.randomUUID`, which only pages over TLS have. */
function newId(kind) {
  const bytes = crypto.getRandomValues(new Uint8Array(10));
  return `${kind}_${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** Return a command with an id; a message has one of its own, by which a page finds it in the state. */
function commandOf(given) {
  const text = { type: "add-message", message: { role: "user", parts: [{ type: "text", text: given }] } };
  const command = { id: newId("cmd"), ...(typeof given === "string" ? text : given) };
  return command.type === "add-message" ? { ...command, message: { id: newId("msg"), ...command.message } } : command;
}
