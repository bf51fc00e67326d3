// Drive assistant-ui's list of threads, with the local runtime in each, and the adapters of `adapters.js`.
//
// README.md beside this file lists the settings and steps; scenario.mjs says how they come in.

import "./page.mjs";
import { createElement as h, useEffect } from "react";
import { createRoot } from "react-dom/client";
import { AssistantRuntimeProvider, useAui, useLocalRuntime, useRemoteThreadListRuntime } from "@assistant-ui/react";
import { whole } from "./adapters.mjs";
import { facts, noted, settle, until } from "./facts.mjs";

const TIMEOUT = 60_000; // ms for one step, where the step does not say

let settings, root, runtime;
let shown = []; // each list of suggestions that was shown

const threads = () => runtime.threads;
const thread = () => runtime.thread;
const messages = () => thread().getState().messages;
const items = () => Object.values(threads().getState().threadItems).filter(({ remoteId }) => remoteId !== undefined);

/** The thread with a title or an id; without one, that which is shown. */
const itemOf = (which) => {
  if (which === undefined) return threads().mainItem;
  const found = items().find(({ title, remoteId }) => title === which || remoteId === which);
  if (found === undefined) throw new Error(`there is no thread "${which}"`);
  return threads().getItemById(found.id);
};

const textOf = ({ content }) => content.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("");

const isWriting = () => facts.responses.some(({ end }) => end === "open");

/** Whether nothing is on its way, but for what is followed. */
const isIdle = () => !thread().getState().isRunning && !thread().getState().isLoading && !isWriting();

const holds = (condition) => {
  if (condition === "idle") return isIdle();
  if (condition === "running") return thread().getState().isRunning;
  if (condition.text !== undefined) return messages().some((message) => textOf(message).includes(condition.text));
  if (condition.title !== undefined) return items().some(({ title }) => title === condition.title);
  if (condition.threads !== undefined) return !threads().getState().isLoading && items().length >= condition.threads;
  if (condition.suggestions !== undefined) return shown.length >= condition.suggestions;
  if (condition.attachments !== undefined) {
    return thread().composer.getState().attachments.filter(({ status }) => status.type !== "running").length >= condition.attachments;
  }
  throw new Error(`unknown condition ${JSON.stringify(condition)}`);
};

/** Do what makes an answer, and wait until that is there, or at least its beginning. */
const answered = async (act, timeout) => {
  const last = messages().at(-1);
  act();
  const isNew = (message) => message !== undefined && message !== last && message.role === "assistant";
  await until(() => isNew(messages().at(-1)), timeout, "an answer");
};

const STEPS = {
  new: () => threads().switchToNewThread(),
  switch: ({ thread: which }) => itemOf(which).switchTo(),
  rename: ({ thread: which, title }) => itemOf(which).rename(title),
  custom: ({ thread: which, custom }) => itemOf(which).updateCustom(custom),
  archive: ({ thread: which }) => itemOf(which).archive(),
  unarchive: ({ thread: which }) => itemOf(which).unarchive(),
  "delete-thread": ({ thread: which }) => itemOf(which).delete(),
  /** One that need not be in the list. */
  fetch: ({ id }) => threads().switchToThread(id),
  more: () => threads().loadMore(),
  title: ({ thread: which }) => itemOf(which).generateTitle(),

  append: ({ text }, timeout) =>
    answered(() => void thread().append({ role: "user", content: [{ type: "text", text }] }), timeout),
  edit: ({ index, text }, timeout) =>
    answered(() => {
      const { composer } = thread().getMessageByIndex(index);
      composer.beginEdit();
      composer.setText(text);
      composer.send();
    }, timeout),
  regenerate: ({ index }, timeout) => answered(() => void thread().getMessageByIndex(index).reload(), timeout),
  "tool-result": ({ result }, timeout) => {
    const [message, call] = messages()
      .flatMap((message) => message.content.map((part) => [message, part]))
      .find(([, part]) => part.type === "tool-call" && part.result === undefined);
    const part = thread().getMessageById(message.id).getMessagePartByToolCallId(call.toolCallId);
    return answered(() => part.addToolResult(result), timeout);
  },
  "delete-message": ({ index }) => thread().getMessageByIndex(index).delete(),
  cancel: () => thread().cancelRun(),
  feedback: ({ index, type, comment }) => thread().getMessageByIndex(index).submitFeedback({ type, comment }),

  attach: ({ name, type, base64 }) =>
    thread().composer.addAttachment(new File([Buffer.from(base64, "base64")], name, { type })),
  detach: () => thread().composer.getAttachmentByIndex(0).remove(),
  send: ({ text }, timeout) =>
    answered(() => {
      thread().composer.setText(text);
      thread().composer.send();
    }, timeout),

  wait: ({ for: condition }, timeout) => until(() => holds(condition), timeout, JSON.stringify(condition)),
};

/** A model that someone has written; a thread that is new has its id when it is there. */
const byHand = (url, aui) => ({
  async *run(options) {
    const { remoteId: threadId } = await aui.threadListItem.initialize();
    yield* whole(`${url}/sse`, { threadId, truncate: true }).run(options);
  },
});

/** Adapters of an application: those of the module, made as its guide says, or as the settings do. */
const runtimeHook = async ({ url, module, adapters, hand = false, options = {} }) => {
  if (module !== undefined) {
    const { useThreads } = await import(module);
    return () => useThreads(url);
  }
  const { createAdapters } = await import(adapters);
  const made = createAdapters({ url, ...options });
  const { adapter, useChatModel } = made.hooks(useAui);
  const useModel = hand ? () => byHand(url, useAui()) : useChatModel;
  return () =>
    useRemoteThreadListRuntime({
      runtimeHook: () => useLocalRuntime(useModel(), { unstable_humanToolNames: ["ask_user"] }),
      adapter,
    });
};

const open = async (given) => {
  settings = given;
  runtime = undefined;
  const useThreads = await runtimeHook(settings);
  const App = () => {
    const mounted = useThreads();
    runtime = mounted;
    useEffect(() => mounted.threads.subscribe(noted), [mounted]);
    useEffect(
      () =>
        mounted.thread.subscribe(() => {
          const { suggestions } = mounted.thread.getState();
          if (suggestions.length > 0 && shown.at(-1) !== suggestions) shown.push(suggestions);
          noted();
        }),
      [mounted],
    );
    useEffect(noted);
    return h(AssistantRuntimeProvider, { runtime: mounted });
  };
  root = createRoot(document.getElementById("root"));
  root.render(h(App));
  await until(() => runtime !== undefined && !threads().getState().isLoading, TIMEOUT, "the list to be loaded");
  await settle();
};

const close = async () => {
  root.unmount();
  await settle();
};

/** An error as JSON, which has no words of it by itself. */
const readable = (_, value) => (value instanceof Error ? { ...value, message: value.message } : value);

const told = () => {
  const { headId, messages: all } = runtime === undefined ? { messages: [] } : thread().export();
  return {
    threads: items(),
    hasMore: threads().getState().hasMore,
    tree: all.map(({ message, parentId }) => ({ message, parentId, isDated: message.createdAt instanceof Date })),
    headId,
    messages: messages(),
    suggestions: shown,
    attachments: thread().composer.getState().attachments.map(({ file, ...attachment }) => attachment),
    requests: facts.requests.map(({ body, ...request }) => ({ ...request, body: body instanceof File ? body.name : body })),
    responses: facts.responses,
    console: facts.console,
    uncaught: facts.uncaught,
  };
};

Object.assign(STEPS, {
  /** The page is loaded again. */
  reload: async ({ thread: which }) => {
    await close();
    await open(settings);
    if (which !== undefined) await itemOf(which).switchTo();
  },
});

export default {
  open: (given) => {
    shown = [];
    return open(given);
  },
  perform: async (step) => {
    const timeout = step.timeout ?? TIMEOUT;
    const extra = await STEPS[step.do](step, timeout);
    await settle();
    if (step.for !== undefined && step.do !== "wait") await until(() => holds(step.for), timeout, JSON.stringify(step.for));
    return extra;
  },
  report: () => JSON.parse(JSON.stringify(told(), readable)),
  close,
};
