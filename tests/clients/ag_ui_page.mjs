// Drive the published `useAgUiRuntime` of assistant-ui through a scenario and report what it did.
//
// Its agent is an `HttpAgent`: of version 1.0.0, which an application installs beside it today, or of the one that it was
// made with. README.md lists settings and steps.

import "./page.mjs";
import { createRequire } from "node:module";
import { isDeepStrictEqual } from "node:util";
import { createElement as h, useEffect } from "react";
import { createRoot } from "react-dom/client";
import { AssistantRuntimeProvider, useAssistantInstructions, useAssistantTool } from "@assistant-ui/react";
import { useAgUiInterrupts, useAgUiRuntime, useAgUiState, useAgUiSubmitInterruptResponses } from "@assistant-ui/react-ag-ui";
import * as modern from "@ag-ui/client";
import { facts, noted, settle, until } from "./facts.mjs";

const TIMEOUT = 60_000; // ms for one step, where the step does not say

const require = createRequire(import.meta.url);
const own = createRequire(require.resolve("@assistant-ui/react-ag-ui"))("@ag-ui/client");
const PACKAGES = { "1.0": modern, own };

let page;

const toolOf = ([toolName, { execute, ...declaration }]) => ({
  type: execute === undefined ? "human" : "frontend",
  ...declaration,
  toolName,
  ...(execute !== undefined && { execute: new Function(`return (${execute})`)() }),
});

/** What an application has: its agent, in the runtime of the hook; or the hook that a module exports. */
const runtimeOf = async ({ url, threadId, version = "own", module }) => {
  if (module !== undefined) {
    const { useBees } = await import(module);
    return { threadId, abort: () => {}, useRuntime: () => useBees(url, threadId) };
  }
  const agent = new PACKAGES[version].HttpAgent({ url, threadId });
  const onError = (error) => (facts.errors.push({ message: error.message }), noted());
  return { threadId, abort: () => agent.abortRun(), useRuntime: () => useAgUiRuntime({ agent, onError }) };
};

const mount = async (settings) => {
  const { tools = {}, system } = settings;
  const mounted = await runtimeOf(settings);
  const declared = Object.entries(tools).map(toolOf);
  const Tool = ({ tool }) => (useAssistantTool(tool), null);
  const Instructions = () => (useAssistantInstructions(system), null);
  const Probe = () => {
    mounted.interrupts = useAgUiInterrupts();
    mounted.submit = useAgUiSubmitInterruptResponses();
    mounted.state = useAgUiState();
    useEffect(noted);
    return null;
  };
  const App = () => {
    const runtime = mounted.useRuntime();
    mounted.runtime = runtime;
    useEffect(() => runtime.thread.subscribe(noted), [runtime]);
    return h(
      AssistantRuntimeProvider,
      { runtime },
      ...declared.map((tool) => h(Tool, { key: tool.toolName, tool })),
      system === undefined ? null : h(Instructions, { key: "system" }),
      h(Probe, { key: "probe" }),
    );
  };
  mounted.root = createRoot(document.getElementById("root"));
  mounted.root.render(h(App));
  return mounted;
};

const open = async (settings) => {
  page = await mount(settings);
  await until(() => page.submit !== undefined, TIMEOUT, "the hook to be mounted");
  await settle();
};

const messages = () => page.runtime.thread.getState().messages;

const isRunning = () => page.runtime.thread.getState().isRunning;

/** Whether nothing streams; what else was asked for, a page need not read. */
const isQuiet = () =>
  facts.responses.every(
    ({ end, status, headers }) =>
      end !== "open" || (status !== null && !headers["content-type"]?.startsWith("text/event-stream")),
  );

const isIdle = () => !isRunning() && isQuiet();

const partsIn = () => messages().flatMap(({ id, content }) => content.map((part) => ({ messageId: id, ...part })));

const holds = (condition) => {
  if (condition === "idle") return isIdle();
  if (condition.text) return partsIn().some(({ text }) => text?.includes(condition.text));
  if (condition.state) return isDeepStrictEqual(page.state, condition.state);
  if (condition.heads) return facts.responses.filter(({ status }) => status !== null).length >= condition.heads;
  throw new Error(`unknown condition ${JSON.stringify(condition)}`);
};

const waitFor = (condition, timeout) => until(() => holds(condition), timeout, JSON.stringify(condition));

/** Do what makes a request, and wait until it is on its way. */
const requested = async (act, timeout) => {
  const before = facts.requests.length;
  await act();
  await until(() => facts.requests.length > before, timeout, "a request");
};

const STEPS = {
  append: ({ text, content = [{ type: "text", text }] }, timeout) =>
    requested(() => page.runtime.thread.append({ role: "user", content }), timeout),

  edit: ({ index, text }, timeout) =>
    requested(() => {
      const { composer } = page.runtime.thread.getMessageById(messages()[index].id);
      composer.beginEdit();
      composer.setText(text);
      composer.send();
    }, timeout),

  reload: ({ index }, timeout) =>
    requested(() => page.runtime.thread.getMessageById(messages()[index].id).reload(), timeout),

  "tool-result": async ({ result, toolName }, timeout) => {
    const open = () => partsIn().find((part) => part.toolName === toolName && part.result === undefined);
    await until(() => open() !== undefined, timeout, "an open call");
    const { messageId, toolCallId } = open();
    const message = page.runtime.thread.getMessageById(messageId);
    await requested(() => message.getMessagePartByToolCallId(toolCallId).addToolResult(result), timeout);
  },

  /** Decide what a call asks for, as the buttons of assistant-ui's approval do. */
  approve: async ({ approved, reason }, timeout) => {
    const gated = () => partsIn().find(({ approval }) => approval !== undefined && approval.approved === undefined);
    await until(() => gated() !== undefined, timeout, "a call to approve");
    const { messageId, toolCallId } = gated();
    const part = page.runtime.thread.getMessageById(messageId).getMessagePartByToolCallId(toolCallId);
    await requested(() => part.respondToToolApproval({ approved, ...(reason && { reason }) }), timeout);
  },

  cancel: async ({ when }, timeout) => {
    if (when !== undefined) await waitFor(when, timeout);
    page.runtime.thread.cancelRun();
    await until(() => !isRunning(), timeout, "the run to be given up");
  },

  wait: ({ for: condition }, timeout) => waitFor(condition, timeout),
};

const told = () => {
  const { requests, responses, errors, console, uncaught } = facts;
  const { threadId } = page;
  const state = page.state ?? null;
  return { threadId, messages: messages(), state, interrupts: page.interrupts, requests, responses, errors, console, uncaught };
};

const perform = async (step) => {
  const act = STEPS[step.do];
  if (act === undefined) throw new Error(`unknown step ${JSON.stringify(step.do)}`);
  const extra = await act(step, step.timeout ?? TIMEOUT);
  await settle();
  if (step.for === "idle") {
    // What has just finished may go on by itself: idle means idle after that, too.
    await waitFor("idle", step.timeout ?? TIMEOUT);
    await settle();
    await waitFor("idle", step.timeout ?? TIMEOUT);
    await settle();
  }
  return { ...extra };
};

const close = async () => {
  page.abort();
  page.root.unmount();
  await until(isQuiet, TIMEOUT, "the open requests to be given up");
};

export default { open, perform, report: told, close };
