// Drive AG-UI's own clients through a scenario and report what they did.
//
// A client is the package's `HttpAgent`, in version 1.0.0 or 0.0.59, alone or in CopilotKit's core. Several may be open at once, on one thread, as in
// several tabs: a step's `client` names one; the first is `main`. `runAgent` checks the order of the events; beside it,
// everything on the wire is checked with the verifiers and the schemas of both versions. README.md lists settings and
// steps.

import "./page.mjs";
import { from, lastValueFrom, toArray } from "rxjs";
import * as modern from "@ag-ui/client";
import { EventSchemas } from "@ag-ui/core/schemas";
import * as older from "ag-ui-client-0";
import { joining, kitOf } from "./copilot_kit.mjs";
import { facts, noted, settle, until } from "./facts.mjs";

const TIMEOUT = 60_000; // ms for one step, where the step does not say
const PACKAGES = { "1.0": modern, "0.0": older };

let config;
let clients = new Map();

const opened = ({ version = "1.0", messages = [], state = {}, tools = {}, copilotKit = false, ...settings }) => {
  const { HttpAgent } = PACKAGES[version];
  const agent = new (copilotKit ? joining(HttpAgent) : HttpAgent)({
    url: settings.url,
    threadId: settings.threadId,
    headers: settings.headers,
    initialMessages: messages,
    initialState: state,
  });
  const seen = { events: [], custom: [], outcomes: [], errors: [], states: [] };
  agent.subscribe({
    onEvent: ({ event }) => (seen.events.push(event.type), noted()),
    onCustomEvent: ({ event }) => void seen.custom.push({ name: event.name, value: structuredClone(event.value) }),
    onRunFinishedEvent: ({ event }) => void seen.outcomes.push(event.outcome ?? null),
    onRunErrorEvent: ({ event }) => void seen.errors.push({ message: event.message, code: event.code ?? null }),
    onRunFailed: ({ error }) => void seen.errors.push({ message: error.message, code: "failed" }),
    onStateChanged: ({ state }) => void seen.states.push(structuredClone(state)),
    onMessagesChanged: noted,
    onRunFinalized: noted,
  });
  const declared = Object.entries(tools).map(([name, { description, parameters }]) => ({ name, description, parameters }));
  return { agent, seen, version, tools: declared, kit: copilotKit ? kitOf(agent, tools, seen.errors) : null, begun: 0 };
};

const clientOf = ({ client = "main" }) => {
  if (!clients.has(client)) throw new Error(`unknown client ${JSON.stringify(client)}`);
  return clients.get(client);
};

const isIdle = () =>
  [...clients.values()].every(({ agent, begun }) => !agent.isRunning && begun === 0) && facts.responses.every(({ end }) => end !== "open");

const textsIn = (agent) => agent.messages.map(({ content }) => (typeof content === "string" ? content : ""));

/** Whether a condition holds now; the forms are listed in README.md. */
const holds = (condition, { agent, seen }) => {
  if (condition === "idle") return isIdle();
  if (condition === "over") return !agent.isRunning;
  if (condition.text) return textsIn(agent).some((text) => text.includes(condition.text));
  if (condition.event) return seen.events.includes(condition.event);
  if (condition.state) return Object.entries(condition.state).every(([key, value]) => agent.state?.[key] === value);
  throw new Error(`unknown condition ${JSON.stringify(condition)}`);
};

const waitFor = (condition, client, timeout) =>
  until(() => holds(condition, client), timeout, JSON.stringify(condition));

/** Run the agent, and wait until its request is on its way; it goes on by itself. */
const run = async (client, { resume, forwardedProps, context }, timeout) => {
  const { agent, seen, tools, kit } = client;
  const before = facts.requests.length;
  const more = { ...(resume && { resume }), ...(forwardedProps && { forwardedProps }), ...(context && { context }) };
  const inKit = () => (agent.messages.length === 0 ? kit.join() : kit.run());
  client.begun += 1; // a core runs its tools in between, and then goes on
  const done = (kit === null ? agent.runAgent({ tools, ...more }) : inKit()).finally(() => ((client.begun -= 1), noted()));
  let refused;
  done.catch((error) => {
    refused = error;
    if (facts.requests.length > before) seen.errors.push({ message: error.message, code: "rejected" });
    noted();
  });
  await until(() => facts.requests.length > before || refused, timeout, "a request");
  if (facts.requests.length === before) throw refused;
};

const idOf = () => crypto.randomUUID();

/** The calls in a client's messages that have no result there. */
const openCalls = (agent) => {
  const answered = new Set(agent.messages.map(({ toolCallId }) => toolCallId));
  return agent.messages.flatMap(({ toolCalls }) => toolCalls ?? []).filter(({ id }) => !answered.has(id));
};

const STEPS = {
  open: ({ client, ...settings }) => {
    clients.set(client, opened({ ...config, ...settings }));
  },

  say: async ({ text, content = text, id = idOf(), ...step }, timeout) => {
    const client = clientOf(step);
    client.agent.addMessage({ id, role: "user", content });
    await run(client, step, timeout);
  },

  /** Look what there is: a client without messages asks for nothing else. */
  run: (step, timeout) => run(clientOf(step), step, timeout),

  /** What an application does with a call of a tool that runs in it. */
  answer: async ({ result, error, toolName, ...step }, timeout) => {
    const client = clientOf(step);
    if (client.kit !== null) return client.kit.answer(toolName, result, timeout);
    const call = openCalls(client.agent).find(({ function: { name } }) => toolName === undefined || name === toolName);
    if (call === undefined) throw new Error("no open call");
    const said = result === undefined ? error : result;
    const content = typeof said === "string" ? said : JSON.stringify(said);
    const failed = error === undefined ? {} : { error };
    client.agent.addMessage({ id: idOf(), role: "tool", toolCallId: call.id, content, ...failed });
    if (step.only !== true) await run(client, step, timeout);
    return { toolCallId: call.id };
  },

  /** Answer every interrupt that the last run ended with. */
  resume: async ({ payload, cancelled = false, text, ...step }, timeout) => {
    const client = clientOf(step);
    const { buildResumeArray } = PACKAGES[client.version];
    const answer = cancelled ? { status: "cancelled" } : { status: "resolved", payload };
    const pending = client.agent.pendingInterrupts;
    if (text !== undefined) client.agent.addMessage({ id: idOf(), role: "user", content: text });
    const resume = buildResumeArray(pending, Object.fromEntries(pending.map(({ id }) => [id, answer])));
    await run(client, { ...step, resume }, timeout);
  },

  /** Cut the messages, as an application does for an edit, or to have an answer made anew; `text` is said instead. */
  cut: async ({ to, text, ...step }, timeout) => {
    const client = clientOf(step);
    client.agent.setMessages(client.agent.messages.slice(0, to));
    if (text !== undefined) client.agent.addMessage({ id: idOf(), role: "user", content: text });
    await run(client, step, timeout);
  },

  "set-state": ({ state, ...step }) => clientOf(step).agent.setState(state),

  abort: async ({ when, ...step }, timeout) => {
    const client = clientOf(step);
    if (when !== undefined) await waitFor(when, client, timeout);
    (client.kit?.stop ?? (() => client.agent.abortRun()))();
    await waitFor("over", client, timeout);
  },

  post: async ({ url, body }) => {
    const headers = { "content-type": "application/json" };
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    return { status: response.status, answer: await response.json() };
  },

  wait: ({ for: condition, ...step }, timeout) => waitFor(condition, clientOf(step), timeout),
};

const open = (settings) => {
  config = settings;
  clients = new Map([["main", opened(settings)]]);
};

const eventsIn = (body) =>
  body
    .slice(0, body.lastIndexOf("\n\n") + 2)
    .split("\n\n")
    .filter((event) => event.startsWith("data: "))
    .map((event) => JSON.parse(event.slice(6)));

/** What the schemas and the verifiers of both versions say of everything that came. */
const invalidEvents = async () => {
  const found = [];
  for (const { status, headers, body } of facts.responses) {
    if (status !== 200 || !headers["content-type"].startsWith("text/event-stream")) continue;
    const events = eventsIn(body);
    for (const event of events) {
      const outcome = event.outcome?.type; // which only the clients get that know of it
      const schemas = outcome === "cancelled" || event.outcome?.pendingToolCallIds ? [EventSchemas] : [EventSchemas, older.EventSchemas];
      for (const schema of schemas) {
        const { success, error } = schema.safeParse(event);
        if (!success) found.push({ event, error: error.message });
      }
    }
    for (const { verifyEvents } of [modern, older]) {
      try {
        await lastValueFrom(verifyEvents()(from(events)).pipe(toArray()));
      } catch (error) {
        found.push({ event: events.map(({ type }) => type), error: error.message });
      }
    }
  }
  return found;
};

const told = async () => {
  const all = {};
  for (const [name, { agent, seen }] of clients) {
    const { threadId, messages, state, pendingInterrupts } = agent;
    all[name] = { threadId, messages, state, interrupts: pendingInterrupts ?? [], ...seen };
  }
  const { requests, responses, console, uncaught } = facts;
  return { clients: all, requests, responses, console, uncaught, invalid: await invalidEvents() };
};

const perform = async (step) => {
  const act = STEPS[step.do];
  if (act === undefined) throw new Error(`unknown step ${JSON.stringify(step.do)}`);
  const extra = await act(step, step.timeout ?? TIMEOUT);
  await settle();
  if (step.for === "idle") await waitFor("idle", clientOf(step), step.timeout ?? TIMEOUT);
  const { agent, seen } = clientOf(step);
  return { ...extra, messages: agent.messages, state: agent.state, outcome: seen.outcomes.at(-1) ?? null };
};

const close = async () => {
  for (const { agent, kit } of clients.values()) (kit?.stop ?? (() => agent.abortRun()))();
  await until(isIdle, TIMEOUT, "all clients to be over");
};

export default { open, perform, report: told, close };
