// Drive the published `useDataStreamRuntime` through a scenario and report what it did.
//
// Several pages may be open at once, as in several tabs: a step's `page` names one; the first is `main`. README.md
// beside this file lists the settings, steps and conditions.

import "./page.mjs";
import { createElement as h, useEffect } from "react";
import { createRoot } from "react-dom/client";
import {
  AssistantRuntimeProvider,
  useAssistantInstructions,
  useAssistantTool,
  useAui,
} from "@assistant-ui/react";
import { useDataStreamRuntime } from "@assistant-ui/react-data-stream";
import { AssistantMessageAccumulator, DataStreamDecoder, ToolResponse, UIMessageStreamDecoder } from "assistant-stream";
import { facts, noted, settle, until } from "./facts.mjs";
import { historyOf } from "./history.mjs";

const TIMEOUT = 60_000; // ms for one step, where the step does not say

let config;
const pages = new Map();

const toolOf = ([toolName, { execute, ...declaration }]) => ({
  type: execute === undefined ? "human" : "frontend",
  ...declaration,
  toolName,
  ...(execute !== undefined && { execute: new Function(`return (${execute})`)() }),
});

const Tool = ({ tool }) => (useAssistantTool(tool), null);
const Instructions = ({ system }) => (useAssistantInstructions(system), null);

/** The answer that is being made, from its start. */
async function* resumed({ api, history: { url, threadId } }) {
  const protocol = new URL(api).searchParams.get("protocol");
  const response = await fetch(`${url}/chat/${threadId}/stream?protocol=${protocol}`);
  if (response.status === 204) return;
  const decoder = protocol === "data-stream" ? new DataStreamDecoder() : new UIMessageStreamDecoder();
  yield* response.body.pipeThrough(decoder).pipeThrough(new AssistantMessageAccumulator());
}

const mount = (settings, useHook, Tools) => {
  const page = { data: [], errors: [], cancels: 0, finishes: 0, mounted: true };
  const options = {
    api: settings.api,
    headers: settings.headers ?? {},
    body: settings.body ?? {},
    ...(settings.sendExtraMessageFields && { sendExtraMessageFields: true }),
    ...(settings.initialMessages && { initialMessages: settings.initialMessages }),
    ...(settings.maxSteps && { maxSteps: settings.maxSteps }),
    ...(settings.history && { adapters: { history: historyOf(settings.history, () => resumed(settings)) } }),
    onData: (data) => (page.data.push(structuredClone(data)), noted()),
    onError: (error) => (page.errors.push(error.message), noted()),
    onCancel: () => ((page.cancels += 1), noted()),
    onFinish: () => ((page.finishes += 1), noted()),
  };
  const context = { callSettings: settings.callSettings, config: settings.config };
  const Settings = () => {
    const aui = useAui();
    useEffect(() => aui.modelContext.register({ getModelContext: () => context }), [aui]);
    return null;
  };
  const App = () => {
    const runtime = useHook === undefined ? useDataStreamRuntime(options) : useHook(settings.url, settings.threadId);
    page.runtime = runtime;
    useEffect(() => {
      page.ready = true;
      noted();
      return runtime.thread.subscribe(noted);
    }, [runtime]);
    return h(
      AssistantRuntimeProvider,
      { runtime },
      ...Object.entries(settings.tools ?? {}).map((entry) => h(Tool, { key: entry[0], tool: toolOf(entry) })),
      settings.system === undefined ? null : h(Instructions, { key: "system", system: settings.system }),
      Tools === undefined ? null : h(Tools, { key: "tools" }),
      h(Settings, { key: "settings" }),
    );
  };
  const element = document.createElement("div");
  document.body.append(element);
  page.root = createRoot(element);
  page.root.render(h(App));
  page.thread = () => page.runtime.thread;
  page.state = () => page.runtime.thread.getState();
  return page;
};

const pageOf = ({ page = "main" }) => {
  if (!pages.has(page)) throw new Error(`unknown page ${JSON.stringify(page)}`);
  return pages.get(page);
};

const openCalls = (page) =>
  page.state().messages.flatMap((message) =>
    message.content
      .filter((part) => part.type === "tool-call" && part.result === undefined)
      .map((part) => ({ messageId: message.id, toolCallId: part.toolCallId, toolName: part.toolName })),
  );

/** Whether no stream is open; the JSON of other requests nobody may have read. */
const isOver = () =>
  facts.responses.every(({ end, headers }) => end !== "open" || headers["content-type"] === "application/json");

const isIdle = () =>
  [...pages.values()].every((page) => !page.state().isRunning) && isOver();

const COUNTS = {
  requests: () => facts.requests.length,
  heads: () => facts.responses.filter(({ status }) => status !== null).length,
  responses: () => facts.responses.filter(({ end }) => end !== "open").length,
  messages: (page) => page.state().messages.length,
  data: (page) => page.data.length,
  errors: (page) => page.errors.length,
};

/** Whether a condition holds now; the forms are listed in README.md. */
const holds = (condition, page) => {
  if (condition === "idle") return isIdle();
  if (condition.text) {
    const parts = page.state().messages.flatMap((message) => message.content);
    return parts.some(({ text }) => text?.includes(condition.text));
  }
  const [name, least] = Object.entries(condition)[0] ?? [];
  if (COUNTS[name]) return COUNTS[name](page) >= least;
  throw new Error(`unknown condition ${JSON.stringify(condition)}`);
};

const waitFor = (condition, page, timeout) =>
  until(() => holds(condition, page), timeout, JSON.stringify(condition));

/** Do what makes a request, and wait until it is on its way; the page goes on by itself. */
const requested = async (act, timeout) => {
  const before = facts.requests.length;
  await act();
  await until(() => facts.requests.length > before, timeout, "a request");
};

const open = async (name, settings) => {
  // An application of its own: a module that exports the hook `useBees` and the component `Tools`.
  const { useBees, Tools } = settings.module === undefined ? {} : await import(settings.module);
  const page = mount(settings, useBees, Tools);
  pages.set(name, page);
  await until(() => page.ready, TIMEOUT, "the hook to be mounted");
  await settle();
};

const STEPS = {
  open: ({ page, ...settings }) => open(page, { ...config, ...settings }),

  append: ({ text, parts, ...step }, timeout) =>
    requested(
      () => pageOf(step).thread().append({ role: "user", content: parts ?? [{ type: "text", text }] }),
      timeout,
    ),

  edit: ({ index, text, ...step }, timeout) =>
    requested(() => {
      const page = pageOf(step);
      const { composer } = page.thread().getMessageByIndex(index);
      composer.beginEdit();
      composer.setText(text);
      composer.send();
    }, timeout),

  /** Have the answer at `index` made anew. */
  reload: ({ index, ...step }, timeout) =>
    requested(() => pageOf(step).thread().getMessageByIndex(index).reload(), timeout),

  cancel: async ({ when, ...step }, timeout) => {
    const page = pageOf(step);
    if (when !== undefined) await waitFor(when, page, timeout);
    page.thread().cancelRun();
    await until(() => !page.state().isRunning, timeout, "the run to be given up");
  },

  "tool-result": async ({ toolName, result = null, isError = false, ...step }, timeout) => {
    const page = pageOf(step);
    const found = () => openCalls(page).find((call) => toolName === undefined || call.toolName === toolName);
    await until(() => found() !== undefined && !page.state().isRunning, timeout, "a tool call without a result");
    const call = found();
    page
      .thread()
      .getMessageById(call.messageId)
      .getMessagePartByToolCallId(call.toolCallId)
      .addToolResult(new ToolResponse({ result, isError }));
    return { toolCallId: call.toolCallId };
  },

  wait: ({ for: condition, ...step }, timeout) => waitFor(condition, pageOf(step), timeout),
};

const told = () => {
  const all = {};
  for (const [name, page] of pages) {
    const { data, errors, cancels, finishes } = page;
    all[name] = { messages: page.state().messages, data, errors, cancels, finishes };
  }
  const { requests, responses, console, uncaught } = facts;
  return { pages: all, requests, responses, console, uncaught };
};

const perform = async (step) => {
  const act = STEPS[step.do];
  if (act === undefined) throw new Error(`unknown step ${JSON.stringify(step.do)}`);
  const timeout = step.timeout ?? TIMEOUT;
  const extra = await act(step, timeout);
  await settle();
  if (step.for === "idle") {
    // The runtime sends again by itself when its tools have answered: idle means idle after that, too.
    do {
      await waitFor("idle", undefined, timeout);
      await settle();
    } while (!isIdle());
  }
  return { ...extra, messages: pageOf(step).state().messages, requests: facts.requests.length };
};

const close = async () => {
  for (const page of pages.values()) {
    page.thread().cancelRun();
    page.root.unmount();
  }
  await until(isOver, TIMEOUT, "all pages to be over");
};

export default {
  open: async (settings) => {
    config = settings;
    pages.clear();
    await open("main", settings);
  },
  perform,
  report: told,
  close,
};
