// Drive the published `useAssistantTransportRuntime` through a scenario and report what it did.
//
// Every step waits for its own effect and every wait is for a condition, so a scenario needs no pauses. README.md
// beside this file lists the settings, steps and conditions; scenario.mjs says how they come in.

import "./page.mjs";
import { facts, settle, until } from "./facts.mjs";
import { ToolResponse } from "assistant-stream";
import { mount } from "./app.mjs";

const TIMEOUT = 60_000; // ms for one step, where the step does not say

let config;
let page;

const MISSING = Symbol("missing");

const at = (value, path) =>
  path.reduce(
    (here, key) =>
      here !== null && typeof here === "object" && Object.hasOwn(here, key === "length" && Array.isArray(here) ? "length" : key)
        ? here[key]
        : MISSING,
    value,
  );

const sameJson = (left, right) => {
  if (Object.is(left, right) || left === right) return true;
  if (left === null || right === null || typeof left !== "object" || typeof right !== "object") return false;
  if (Array.isArray(left) !== Array.isArray(right)) return false;
  const keys = Object.keys(left);
  return (
    keys.length === Object.keys(right).length && keys.every((key) => Object.hasOwn(right, key) && sameJson(left[key], right[key]))
  );
};

const includes = (value, part) =>
  typeof value === "string"
    ? value.includes(part)
    : Array.isArray(value)
      ? value.some((item) => sameJson(item, part))
      : value !== null && typeof value === "object" && Object.hasOwn(value, part);

const isIdle = () =>
  !page.connection.isSending &&
  page.connection.pendingCommands.length === 0 &&
  !page.isRunning() &&
  facts.responses.every(({ end }) => end !== "open");

const openCalls = () =>
  page.messages().flatMap((message) =>
    message.content
      .filter((part) => part.type === "tool-call" && part.result === undefined)
      .map((part) => ({ messageId: message.id, toolCallId: part.toolCallId, toolName: part.toolName })),
  );

const COUNTS = {
  states: () => facts.states.length,
  requests: () => facts.requests.length,
  heads: () => facts.responses.filter(({ status }) => status !== null).length,
  responses: () => facts.responses.filter(({ end }) => end !== "open").length,
  errors: () => facts.errors.length,
  cancels: () => facts.cancels.length,
  finishes: () => facts.finishes,
  pending: () => page.connection.pendingCommands.length,
  messages: () => page.messages().length,
};

/** Whether `condition` holds now; the forms are listed in README.md. */
const holds = (condition) => {
  if (condition === "idle") return isIdle();
  if (condition === "running") return page.isRunning();
  if (condition === "tool-call") return openCalls().length > 0;
  if (condition.all) return condition.all.every(holds);
  if (condition.any) return condition.any.some(holds);
  if (condition.not !== undefined) return !holds(condition.not);
  if (condition.path) {
    const value = at(page.state(), condition.path);
    if ("exists" in condition) return (value !== MISSING) === condition.exists;
    if (value === MISSING) return false;
    if ("equals" in condition) return sameJson(value, condition.equals);
    if ("contains" in condition) return includes(value, condition.contains);
    if ("length" in condition) return value?.length >= condition.length;
  }
  if (condition.console) return facts.console.some(({ text }) => text.includes(condition.console));
  const [name, least] = Object.entries(condition)[0] ?? [];
  if (COUNTS[name]) return COUNTS[name]() >= least;
  throw new Error(`unknown condition ${JSON.stringify(condition)}`);
};

const waitFor = (condition, timeout) => until(() => holds(condition), timeout, JSON.stringify(condition));

const contentOf = ({ text, parts }) => parts ?? [{ type: "text", text }];

const sent = () => facts.requests.reduce((count, { body }) => count + (body?.commands?.length ?? 0), 0);

/** Do `act`, then wait until `count` new commands are in the client's queue or on the wire. */
const enqueued = async (count, timeout, act) => {
  const known = new Set(page.connection.pendingCommands);
  const before = sent();
  await act();
  const fresh = () => page.connection.pendingCommands.filter((command) => !known.has(command)).length;
  await until(() => fresh() + sent() - before >= count, timeout, `${count} new command(s)`);
};

const opened = async (next) => {
  config = next;
  page = mount(config);
  await until(() => page.isReady(), TIMEOUT, "the hook to be mounted");
  await settle();
};

const closed = async (timeout) => {
  page.unmount();
  await until(() => facts.responses.every(({ end }) => end !== "open"), timeout, "the open requests to be given up");
};

const told = () => ({ finalState: page?.state(), messages: page?.messages() ?? [], ...facts });

const STEPS = {
  append: ({ messages, ...message }, timeout) => {
    const wanted = messages ?? [message];
    return enqueued(wanted.length, timeout, () => {
      for (const one of wanted) {
        page.thread().append({
          role: "user",
          content: contentOf(one),
          ...("parentId" in one && { parentId: one.parentId }),
          ...("sourceId" in one && { sourceId: one.sourceId }),
        });
      }
    });
  },

  command: ({ command, commands = [command] }, timeout) =>
    enqueued(commands.length, timeout, () => commands.forEach((one) => page.sendCommand(one))),

  "tool-result": async ({ toolCallId, toolName, result = null, isError = false, artifact }, timeout) => {
    const fits = (call) =>
      (toolCallId === undefined || call.toolCallId === toolCallId) && (toolName === undefined || call.toolName === toolName);
    await until(() => openCalls().some(fits), timeout, "a tool call without a result");
    const call = openCalls().find(fits);
    await enqueued(1, timeout, () =>
      page
        .thread()
        .getMessageById(call.messageId)
        .getMessagePartByToolCallId(call.toolCallId)
        .addToolResult(new ToolResponse({ result, isError, ...(artifact !== undefined && { artifact }) })),
    );
    return { toolCallId: call.toolCallId, toolName: call.toolName };
  },

  edit: async ({ messageId, index, text }, timeout) => {
    const id = messageId ?? page.messages()[index]?.id;
    if (id === undefined) throw new Error(`no message ${index}; there are ${page.messages().length}`);
    await enqueued(1, timeout, () => {
      const { composer } = page.thread().getMessageById(id);
      composer.beginEdit();
      composer.setText(text);
      composer.send();
    });
    return { messageId: id };
  },

  cancel: async ({ when }, timeout) => {
    if (when !== undefined) await waitFor(when, timeout);
    const before = facts.cancels.length;
    page.thread().cancelRun();
    await until(() => facts.cancels.length > before || isIdle(), timeout, "the run to be given up");
  },

  resume: async (_, timeout) => {
    const before = facts.requests.length;
    page.thread().resumeRun({ parentId: page.messages().at(-1)?.id ?? null });
    await until(() => facts.requests.length > before, timeout, "the resume request");
  },

  "import-state": async ({ state }, timeout) => {
    page.thread().importExternalState(state);
    await until(() => sameJson(page.state(), state), timeout, "the imported state");
  },

  wait: ({ for: condition }, timeout) => waitFor(condition, timeout),

  unmount: (_, timeout) => closed(timeout),

  mount: ({ config: changes }) => opened({ ...config, ...changes }),

  /** What the reload button does: the page and its state are gone, unless `keep` carries the state over. */
  reload: async ({ config: changes, keep }, timeout) => {
    await closed(timeout);
    await opened({ ...config, ...(keep && { initialState: page.state() }), ...changes });
  },
};

const perform = async (step) => {
  const act = STEPS[step.do];
  if (act === undefined) throw new Error(`unknown step ${JSON.stringify(step.do)}`);
  const timeout = step.timeout ?? TIMEOUT;
  const extra = await act(step, timeout);
  await settle();
  // A client that has just finished may owe a render, or a follow-up run: idle means idle after that, too.
  if (step.for === "idle") {
    await waitFor("idle", timeout);
    await settle();
  }
  return {
    ...extra,
    state: page.state(),
    isRunning: page.isRunning(),
    pending: page.connection.pendingCommands.length,
    messages: page.messages().length,
    requests: facts.requests.length,
    errors: facts.errors.length,
  };
};

export default { open: opened, perform, report: told, close: () => closed(TIMEOUT) };
