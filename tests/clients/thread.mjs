// Drive `client.js` in Node: threads by name, each with the snapshots that its subscriber was told of.
//
// It is taken from the server's URL, or from the sources, like `scenario.mjs` from its folder. README.md beside this
// file lists the steps; scenario.mjs says how they come in.

import { format } from "node:util";
import { WebSocket } from "undici";
import { createStore } from "zustand/vanilla";
import { facts, noted, until } from "./facts.mjs";

const TIMEOUT = 60_000; // ms for one step, where the step does not say

for (const level of ["log", "info", "debug", "warn", "error"]) {
  console[level] = (...args) => facts.console.push({ level, text: format(...args) });
}
for (const event of ["uncaughtException", "unhandledRejection"]) {
  process.on(event, (error) => {
    facts.uncaught.push(error?.stack ?? String(error));
    noted();
  });
}

// What a browser has: the module hears there that the network is back.
const page = new EventTarget();
globalThis.addEventListener ??= page.addEventListener.bind(page);
globalThis.removeEventListener ??= page.removeEventListener.bind(page);

let client;
const threads = new Map(); // by name: {thread, told, frames, unsubscribe, sent, marks, store}

const describe = (error) =>
  error instanceof client.Refused
    ? { refused: error.code, status: error.status ?? null, message: error.message, details: error.details }
    : { failed: error.name, message: error.message };

const settled = (promise) => promise.then((value) => ({ value: value ?? null }), describe);

/** Objects as they would go over the wire; an error as its text. */
const plain = (snapshot) => ({ ...snapshot, error: snapshot.error && describe(snapshot.error) });

const isFrozen = (value) =>
  value === null || typeof value !== "object" || (Object.isFrozen(value) && Object.values(value).every(isFrozen));

/** The paths of what is equal in both and not the same object. */
const unshared = (before, after, path = []) => {
  if (before === null || after === null || typeof before !== "object" || typeof after !== "object") return [];
  if (before === after || Array.isArray(before) !== Array.isArray(after)) return [];
  if (JSON.stringify(before) === JSON.stringify(after)) return [path];
  return Object.keys(after).flatMap((key) =>
    Object.hasOwn(before, key) ? unshared(before[key], after[key], [...path, key]) : [],
  );
};

const at = (value, path) => path.reduce((inner, key) => inner?.[key], value);

/** What redux is, for this purpose. */
const reduxStore = (reducer, state) => {
  const store = {
    getState: () => state,
    dispatch: (action) => {
      state = reducer(state, action);
      noted();
      return action;
    },
  };
  store.dispatch({ type: "@@init" });
  return store;
};

const STORES = {
  zustand: (thread) => {
    const store = createStore(() => thread.getSnapshot());
    store.subscribe(noted);
    return { store, unsubscribe: thread.subscribe(() => store.setState(thread.getSnapshot(), true)) };
  },
  redux: (thread) => {
    const reducer = (state, action) => (action.type === "thread/changed" ? action.snapshot : state);
    const store = reduxStore(reducer, thread.getSnapshot());
    const changed = () => store.dispatch({ type: "thread/changed", snapshot: thread.getSnapshot() });
    return { store, unsubscribe: thread.subscribe(changed) };
  },
};

const closeAll = () => {
  for (const { thread } of threads.values()) thread.close();
  threads.clear();
};

const STEPS = {
  clear: closeAll,
  connect: ({ name, url, thread: id, socket, headers, ...options }) => {
    const record = { told: [], frames: [], sent: new Map(), marks: new Map(), wrong: [] };
    let asked = 0;
    let last; // one frame ago
    record.thread = client.connect(url, id, {
      ...options,
      ...(socket && { webSocket: WebSocket }),
      ...(headers && { headers: () => ({ ...headers, "x-asked": String(++asked) }) }),
      onFrame: (frame) => {
        record.frames.push(frame.type);
        const { state } = record.thread.getSnapshot();
        if (last !== undefined) record.wrong.push(...unshared(last, state).map((path) => `not shared: ${path}`));
        last = frame.operations?.length > 1 ? undefined : state; // of several, one may undo another
      },
    });
    threads.set(name, record);
    return { id: record.thread.id };
  },
  subscribe: (_, record) => {
    let last = record.thread.getSnapshot();
    record.unsubscribe = record.thread.subscribe(() => {
      const snapshot = record.thread.getSnapshot();
      if (!isFrozen(snapshot.state) || !Object.isFrozen(snapshot)) record.wrong.push("not frozen");
      if (snapshot === last) record.wrong.push("told of nothing");
      record.told.push((last = snapshot));
      noted();
    });
  },
  wrong: ({ options }) => {
    try {
      client.connect("http://127.0.0.1:1", "t", options);
      return { failed: null };
    } catch (error) {
      return describe(error);
    }
  },
  unsubscribe: async (_, { thread, unsubscribe }) => {
    unsubscribe();
    while (thread.getSnapshot().connection !== "idle") await new Promise(setImmediate); // nobody is told
  },
  fail: (_, record) =>
    void record.thread.subscribe(() => {
      throw new Error("a listener that fails");
    }),
  send: async ({ commands, fields }, { thread }) => settled(thread.send(commands, fields)),
  begin: ({ as, commands, fields, cancel }, { thread, sent }) => {
    sent.set(as, settled(cancel ? thread.cancel() : thread.send(commands, fields)));
  },
  finish: ({ as }, { sent }) => sent.get(as),
  cancel: ({ which }, { thread }) => settled(thread.cancel(which)),
  fork: ({ revision, id }, { thread }) => settled(thread.fork(revision, id)),
  rewind: ({ revision, cancel }, { thread }) => settled(thread.rewind(revision, { cancel })),
  runs: (_, { thread }) => settled(thread.runs()),
  retry: ({ runId }, { thread }) => settled(thread.retry(runId)),
  reconnect: (_, { thread }) => thread.reconnect(),
  /** Be online again, after some milliseconds of sleep. */
  awake: ({ after }) => {
    const { now } = Date;
    Date.now = () => now() + after;
    page.dispatchEvent(new Event("online"));
    Date.now = now;
  },
  close: (_, { thread }) => thread.close(),
  wait: async ({ for: source, timeout }, { thread, told, frames, store }) => {
    const holds = new Function(`return (${source})`)();
    const look = () => holds(store === undefined ? thread.getSnapshot() : store.getState(), { told, frames });
    await until(look, timeout ?? TIMEOUT, `${source}; it is ${JSON.stringify(plain(thread.getSnapshot()))}`);
    return { snapshot: plain(thread.getSnapshot()) };
  },
  snapshot: (_, { thread }) => ({ snapshot: plain(thread.getSnapshot()) }),
  told: (_, { told, frames, wrong }) => ({ told: told.map(plain), frames, wrong }),
  mark: ({ path }, { thread, marks }) => void marks.set(path.join("/"), at(thread.getSnapshot(), path)),
  same: ({ path }, { thread, marks }) => ({ same: marks.get(path.join("/")) === at(thread.getSnapshot(), path) }),
  store: ({ kind }, record) => void Object.assign(record, STORES[kind](record.thread)),
  state: (_, { store }) => ({ snapshot: plain(store.getState()) }),
  /** Apply batches to a state, without a server; says whether one was refused, and what is wrong with the result. */
  apply: ({ initial, batches }) => {
    let state = client.apply(null, [{ type: "set", path: [], value: initial }]);
    for (const [index, operations] of batches.entries()) {
      const [before, text] = [state, JSON.stringify(state)];
      try {
        state = client.apply(before, operations);
      } catch (error) {
        if (!(error instanceof client.OperationError)) throw error;
        return { state, refused: error.message, wrong: JSON.stringify(before) === text ? [] : [`changed by ${index}`] };
      }
      const shared = operations.length === 1 ? unshared(before, state) : [];
      const wrong = shared.map((path) => `not shared by ${index}: /${path.join("/")}`);
      if (JSON.stringify(before) !== text) wrong.push(`changed by ${index}`);
      if (!isFrozen(state)) wrong.push(`not frozen by ${index}`);
      if (wrong.length > 0) return { state, refused: null, wrong };
    }
    return { state, refused: null, wrong: [] };
  },
};

export default {
  open: async ({ module }) => {
    client = await import(module);
  },
  perform: async (step) => {
    const act = STEPS[step.do];
    if (act === undefined) throw new Error(`unknown step ${JSON.stringify(step.do)}`);
    const { do: _, ...fields } = step;
    return (await act(fields, threads.get(step.name ?? "thread"))) ?? {};
  },
  report: async () => ({ console: facts.console, uncaught: facts.uncaught }),
  close: async () => closeAll(),
};
