// Drive the published `useLocalRuntime`, with an adapter for a server, through a scenario, and report what it did.
//
// README.md beside this file lists the settings and steps; scenario.mjs says how they come in.

import "./page.mjs";
import { createElement as h, useEffect } from "react";
import { createRoot } from "react-dom/client";
import { AssistantRuntimeProvider, useLocalRuntime } from "@assistant-ui/react";
import { facts, noted, settle, until } from "./facts.mjs";
import { historyOf } from "./history.mjs";

const TIMEOUT = 60_000; // ms for one step, where the step does not say

let runtime;

const thread = () => runtime.thread;
const messages = () => thread().getState().messages;

const isIdle = () => !thread().getState().isRunning;

const openCall = () =>
  messages()
    .flatMap(({ id, content }) => content.map((part) => ({ messageId: id, ...part })))
    .find((part) => part.type === "tool-call" && part.result === undefined);

const textOf = ({ content }) => content.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("");

const holds = (condition) => {
  if (condition === "idle") return isIdle();
  if (condition === "tool-call") return openCall() !== undefined;
  if (condition.text !== undefined) return messages().some((message) => textOf(message).includes(condition.text));
  throw new Error(`unknown condition ${JSON.stringify(condition)}`);
};

const asked = async (act, timeout) => {
  const before = facts.requests.length;
  await act();
  await until(() => facts.requests.length > before, timeout, "a request");
};

const STEPS = {
  append: ({ text, parts, attachments = [] }, timeout) =>
    asked(() => void thread().append({ role: "user", content: parts ?? [{ type: "text", text }], attachments }), timeout),

  edit: ({ index, text }, timeout) =>
    asked(() => {
      const { composer } = thread().getMessageByIndex(index);
      composer.beginEdit();
      composer.setText(text);
      composer.send();
    }, timeout),

  /** What the button that asks for another answer does. */
  regenerate: ({ index }, timeout) => asked(() => void thread().getMessageByIndex(index).reload(), timeout),

  cancel: async (_, timeout) => {
    thread().cancelRun();
    await until(isIdle, timeout, "the run to be given up");
  },

  "tool-result": async ({ result }, timeout) => {
    const call = openCall();
    await asked(
      () => thread().getMessageById(call.messageId).getMessagePartByToolCallId(call.toolCallId).addToolResult(result),
      timeout,
    );
  },

  wait: ({ for: condition }, timeout) => until(() => holds(condition), timeout, JSON.stringify(condition)),
};

let root;

const opened = async ({ url, adapter, module = "./adapters.mjs", more = {}, humanTools, history }) => {
  const model = (await import(module))[adapter](url, more);
  const adapters = history && { history: historyOf(history, (options) => model.run({ ...options, messages: [] })) };
  let mounted;
  const App = () => {
    mounted = useLocalRuntime(model, {
      ...(humanTools && { unstable_humanToolNames: humanTools }),
      ...(adapters && { adapters }),
    });
    useEffect(noted);
    return h(AssistantRuntimeProvider, { runtime: mounted });
  };
  root = createRoot(document.getElementById("root"));
  root.render(h(App));
  await until(() => mounted !== undefined, TIMEOUT, "the hook to be mounted");
  runtime = mounted;
  runtime.thread.subscribe(noted);
  await settle();
};

const told = () => ({
  messages: runtime === undefined ? [] : messages(),
  requests: facts.requests,
  responses: facts.responses,
  console: facts.console,
  uncaught: facts.uncaught,
});

export default {
  open: opened,
  perform: async (step) => {
    const timeout = step.timeout ?? TIMEOUT;
    const extra = await STEPS[step.do](step, timeout);
    await settle();
    if (step.for === "idle") await until(isIdle, timeout, "nothing more to happen");
    return { ...extra, messages: messages().map(({ id, role, content, status }) => ({ id, role, content, status })) };
  },
  report: told,
  close: async () => {
    root.unmount();
    await settle();
  },
};
