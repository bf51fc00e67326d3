// Drive the AI SDK's chats through a scenario and report what they did.
//
// A chat is the package's `AbstractChat` over a state that is a plain list, or with `hook` that of `useChat`, and its
// `DefaultChatTransport`. Several chats may be open at once, as in several tabs: a step's `chat` names one; the first is
// `main`. Every chunk on the wire is checked with the package's own schema as well. README.md lists settings and steps.

import "./page.mjs";
import {
  AbstractChat,
  DefaultChatTransport,
  lastAssistantMessageIsCompleteWithApprovalResponses,
  lastAssistantMessageIsCompleteWithToolCalls,
  safeValidateUIMessages,
  uiMessageChunkSchema,
} from "ai";
import { facts, noted, settle, until } from "./facts.mjs";
import { mountChat } from "./use_chat.mjs";

const TIMEOUT = 60_000; // ms for one step, where the step does not say

const AUTOMATIC = {
  "tool-calls": lastAssistantMessageIsCompleteWithToolCalls,
  approvals: lastAssistantMessageIsCompleteWithApprovalResponses,
};

let config;
let chats = new Map();

/** What `useChat` keeps in React's state. */
class State {
  #messages;
  #status = "ready";
  #error;

  constructor(messages) {
    this.#messages = messages;
  }

  get messages() {
    return this.#messages;
  }

  set messages(messages) {
    this.#messages = messages;
    noted();
  }

  get status() {
    return this.#status;
  }

  set status(status) {
    this.#status = status;
    noted();
  }

  get error() {
    return this.#error;
  }

  set error(error) {
    this.#error = error;
    noted();
  }

  pushMessage = (message) => {
    this.messages = [...this.#messages, structuredClone(message)];
  };

  popMessage = () => {
    this.messages = this.#messages.slice(0, -1);
  };

  replaceMessage = (index, message) => {
    this.messages = [...this.#messages.slice(0, index), structuredClone(message), ...this.#messages.slice(index + 1)];
  };

  snapshot = (value) => structuredClone(value);
}

/** What the application gives a chat; with `module`, one that exports `chatOn` and `messagesOf`. */
const applied = async ({ id, messages = [], automatically, module, url, loaded }) => {
  if (module !== undefined) {
    const { chatOn, messagesOf } = await import(module);
    return chatOn(url, id, loaded ? await messagesOf(url, id) : messages);
  }
  return {
    id,
    messages: structuredClone(messages),
    transport: new DefaultChatTransport({ api: config.api, headers: config.headers, body: config.body }),
    ...(automatically && { sendAutomaticallyWhen: AUTOMATIC[automatically] }),
  };
};

/** Callbacks that keep what they are told in `seen`; a tool of the page answers through `chat()`. */
const listening = (seen, tools, chat) => ({
  onData: (part) => (seen.data.push(structuredClone(part)), noted()),
  onError: (error) => (seen.errors.push(error.message), noted()),
  onFinish: ({ isAbort, isDisconnect, isError, finishReason }) => {
    seen.finishes.push({ isAbort, isDisconnect, isError, finishReason });
    noted();
  },
  onToolCall: ({ toolCall }) => {
    seen.calls.push(structuredClone(toolCall));
    if (!Object.hasOwn(tools, toolCall.toolName)) return;
    const { toolCallId, toolName } = toolCall;
    void chat().addToolOutput({ tool: toolName, toolCallId, output: tools[toolName] });
  },
});

class Chat extends AbstractChat {
  constructor({ messages, ...options }) {
    super({ ...options, state: new State(messages) });
  }
}

/** A chat, and what it was told in `seen`. */
const chatting = async ({ tools = {}, ...settings }) => {
  const seen = { data: [], calls: [], errors: [], finishes: [] };
  let chat;
  const options = { ...(await applied(settings)), ...listening(seen, tools, () => chat) };
  chat = settings.hook ? await mountChat({ ...options, resume: settings.resume }, settings) : new Chat(options);
  chat.seen = seen;
  return chat;
};

const chatOf = ({ chat = "main" }) => {
  if (!chats.has(chat)) throw new Error(`unknown chat ${JSON.stringify(chat)}`);
  return chats.get(chat);
};

const partsOf = (chat) => chat.messages.flatMap((message) => message.parts);

/** Whether no stream is open; the JSON of other requests nobody may have read. */
const isOver = () =>
  facts.responses.every(({ end, headers }) => end !== "open" || headers["content-type"] === "application/json");

const isIdle = () =>
  [...chats.values()].every(({ status }) => status === "ready" || status === "error") && isOver();

const COUNTS = {
  requests: () => facts.requests.length,
  heads: () => facts.responses.filter(({ status }) => status !== null).length,
  responses: () => facts.responses.filter(({ end }) => end !== "open").length,
  messages: (chat) => chat.messages.length,
  data: (chat) => chat.seen.data.length,
  calls: (chat) => chat.seen.calls.length,
  errors: (chat) => chat.seen.errors.length,
};

/** Whether a condition holds now; the forms are listed in README.md. */
const holds = (condition, chat) => {
  if (condition === "idle") return isIdle();
  if (condition.status) return chat.status === condition.status;
  if (condition.text) return partsOf(chat).some(({ text }) => text?.includes(condition.text));
  if (condition.part) return partsOf(chat).some((part) => Object.entries(condition.part).every(([k, v]) => part[k] === v));
  const [name, least] = Object.entries(condition)[0] ?? [];
  if (COUNTS[name]) return COUNTS[name](chat) >= least;
  throw new Error(`unknown condition ${JSON.stringify(condition)}`);
};

const waitFor = (condition, chat, timeout) =>
  until(() => holds(condition, chat), timeout, JSON.stringify(condition));

/** Do what makes a request, and wait until it is on its way; the chat goes on by itself. */
const requested = async (act, timeout) => {
  const before = facts.requests.length;
  const done = Promise.resolve(act());
  done.catch((error) => (facts.uncaught.push(error.stack ?? String(error)), noted()));
  await until(() => facts.requests.length > before, timeout, "a request");
};

const callIn = async (chat, { toolCallId, toolName }, states, timeout) => {
  const found = () =>
    partsOf(chat).findLast(
      (part) =>
        states.includes(part.state) &&
        (toolCallId === undefined || part.toolCallId === toolCallId) &&
        (toolName === undefined || part.type === `tool-${toolName}`),
    );
  await until(() => found() !== undefined, timeout, `a call in ${states}`);
  return found();
};

const STEPS = {
  open: ({ chat, ...settings }) => open(chat, { ...config, ...settings }),

  send: ({ text, parts, files, metadata, messageId, ...step }, timeout) => {
    const message = parts === undefined ? { text, files, metadata } : { parts, metadata };
    return requested(() => chatOf(step).sendMessage({ ...message, ...(messageId && { messageId }) }), timeout);
  },

  /** What a page does that posts its messages once more, as they are. */
  "send-again": (step, timeout) => requested(() => chatOf(step).sendMessage(), timeout),

  regenerate: ({ messageId, ...step }, timeout) =>
    requested(() => chatOf(step).regenerate(messageId && { messageId }), timeout),

  resume: (step, timeout) => requested(() => chatOf(step).resumeStream(), timeout),

  "tool-output": async ({ output, errorText, toolName, toolCallId, ...step }, timeout) => {
    const chat = chatOf(step);
    const part = await callIn(chat, { toolName, toolCallId }, ["input-available", "approval-requested"], timeout);
    const given = errorText === undefined ? { output } : { state: "output-error", errorText };
    await chat.addToolOutput({ tool: part.type.slice(5), toolCallId: part.toolCallId, ...given });
    return { toolCallId: part.toolCallId };
  },

  approve: async ({ approved, reason, ...step }, timeout) => {
    const chat = chatOf(step);
    const part = await callIn(chat, {}, ["approval-requested"], timeout);
    await chat.addToolApprovalResponse({ id: part.approval.id, approved, reason });
    return { toolCallId: part.toolCallId };
  },

  stop: async ({ when, ...step }, timeout) => {
    const chat = chatOf(step);
    if (when !== undefined) await waitFor(when, chat, timeout);
    await chat.stop();
  },

  wait: ({ for: condition, ...step }, timeout) => waitFor(condition, chatOf(step), timeout),
};

const open = async (name, settings) => {
  chats.set(name, await chatting(settings));
};

const opened = async (settings) => {
  config = settings;
  chats = new Map();
  await open("main", settings);
};

const chunksIn = (body) =>
  body
    .split("\n\n")
    .filter((event) => event.startsWith("data: ") && event !== "data: [DONE]")
    .map((event) => JSON.parse(event.slice(6)));

/** What the package's own schema says of every chunk that came. */
const invalidChunks = async () => {
  const { validate } = uiMessageChunkSchema();
  const found = [];
  for (const { headers, body } of facts.responses) {
    if (headers["x-vercel-ai-ui-message-stream"] !== "v1") continue;
    for (const chunk of chunksIn(body.slice(0, body.lastIndexOf("\n\n") + 2))) {
      const { success, error } = await validate(chunk);
      if (!success) found.push({ chunk, error: error.message });
    }
  }
  return found;
};

const told = async () => {
  const all = {};
  for (const [name, chat] of chats) {
    const { messages, status, error, seen } = chat;
    const checked = messages.length === 0 ? { success: true } : await safeValidateUIMessages({ messages });
    const invalid = checked.success ? null : checked.error.message;
    all[name] = { id: chat.id, messages, status, error: error?.message ?? null, invalid, ...seen };
  }
  const { requests, responses, console, uncaught } = facts;
  return { chats: all, requests, responses, console, uncaught, invalidChunks: await invalidChunks() };
};

const perform = async (step) => {
  const act = STEPS[step.do];
  if (act === undefined) throw new Error(`unknown step ${JSON.stringify(step.do)}`);
  const timeout = step.timeout ?? TIMEOUT;
  const extra = await act(step, timeout);
  await settle();
  if (step.for === "idle") {
    // A chat that has just finished may send again by itself: idle means idle after that, too.
    do {
      await waitFor("idle", undefined, timeout);
      await settle();
    } while (!isIdle());
  }
  const chat = chatOf(step);
  return { ...extra, status: chat.status, messages: chat.messages, requests: facts.requests.length };
};

const close = async () => {
  await Promise.all([...chats.values()].map((chat) => chat.stop()));
  for (const chat of chats.values()) chat.unmount?.();
  await until(isIdle, TIMEOUT, "all chats to be over");
};

export default { open: opened, perform, report: told, close };
