// The application a user would write: `useAssistantTransportRuntime` around a state with `messages`.

import { createElement as h, StrictMode, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import {
  AssistantRuntimeProvider,
  unstable_createMessageConverter as createMessageConverter,
  useAssistantInstructions,
  useAssistantTool,
  useAssistantTransportRuntime,
  useAssistantTransportSendCommand,
  useAssistantTransportState,
  useAui,
  useRemoteThreadListRuntime,
} from "@assistant-ui/react";
import { facts, noted } from "./facts.mjs";

/** One part of a message in the state, as the client's own part; unknown ones travel as data. */
const toPart = (part) => {
  switch (part.type) {
    case "text":
    case "reasoning":
      return { type: part.type, text: part.text };
    case "image":
      return { type: "image", image: part.image };
    case "tool-call":
      return {
        type: "tool-call",
        toolCallId: part.toolCallId,
        toolName: part.toolName,
        ...(part.args !== undefined && { args: part.args }),
        ...(part.argsText !== undefined && { argsText: part.argsText }),
        ...(part.result !== undefined && { result: part.result }),
        ...(part.isError !== undefined && { isError: part.isError }),
        ...(part.approval !== undefined && { approval: part.approval }),
        ...(part.interrupt !== undefined && { interrupt: part.interrupt }),
        ...(part.messages !== undefined && { messages: part.messages }),
      };
    default:
      return { type: "data", name: String(part.type), data: part };
  }
};

const messageConverter = createMessageConverter((message) => ({
  id: message.id,
  role: message.role,
  content: (message.parts ?? []).map(toPart),
  ...(message.status && { status: message.status }),
  convertConfig: { joinStrategy: "none" },
}));

const toolOf = ([toolName, { execute, ...declaration }]) => ({
  type: execute === undefined ? "human" : "frontend",
  ...declaration,
  toolName,
  ...(execute !== undefined && { execute: new Function(`return (${execute})`)() }),
});

/** A thread list whose threads live elsewhere: one that exists already, or one whose id is given when it is new. */
const threadListOf = ({ threadId, remoteId }) => ({
  list: async () => ({ threads: threadId === undefined ? [] : [{ status: "regular", remoteId: threadId }] }),
  fetch: async (id) => ({ status: "regular", remoteId: id }),
  initialize: async (localId) => ({ remoteId: remoteId ?? localId }),
  rename: async () => {},
  archive: async () => {},
  unarchive: async () => {},
  delete: async () => {},
  generateTitle: async () => new ReadableStream({ start: (controller) => controller.close() }),
});

/**
 * Mount the application and return what a test drives.
 *
 * `page.runtime` and `page.sendCommand` are the hooks' own; `page.connection` is what the converter was last told;
 * `page.state()` is what the hooks expose now, and keeps its last value after `page.unmount()`.
 */
export const mount = (config) => {
  const page = { connection: { pendingCommands: [], isSending: false }, mounted: true };
  let lastState = config.initialState;
  let lastThreadId = null;

  const converter = (state, connection) => {
    page.connection = connection;
    const seen = JSON.stringify(state);
    if (page.lastSeen !== seen) {
      page.lastSeen = seen;
      facts.states.push(seen === undefined ? undefined : JSON.parse(seen));
    }
    queueMicrotask(noted);
    const pending = connection.pendingCommands
      .filter((command) => command.type === "add-message")
      .map((command, index) => ({ ...command.message, id: `pending-${index}` }));
    return {
      messages: messageConverter.toThreadMessages(
        [...(state?.messages ?? []), ...pending],
        connection.isSending,
        { toolStatuses: connection.toolStatuses },
      ),
      isRunning: connection.isSending,
    };
  };

  const options = {
    initialState: config.initialState,
    api: config.api,
    ...(config.protocol !== undefined && { protocol: config.protocol }),
    ...(config.strict !== undefined && { strict: config.strict }),
    ...(config.resumeApi !== undefined && { resumeApi: config.resumeApi }),
    ...(config.resumeStateApi !== undefined && { resumeStateApi: config.resumeStateApi }),
    headers: config.headers ?? {},
    body: config.body ?? {},
    converter,
    capabilities: { edit: config.edit ?? true },
    onResponse: (response) => {
      lastThreadId = response.headers.get("statecast-thread-id") ?? facts.requests.at(-1)?.body?.threadId ?? lastThreadId;
    },
    onFinish: () => {
      facts.finishes += 1;
      noted();
    },
    onError: (error, { commands }) => {
      facts.errors.push({ message: error.message, commands });
      noted();
    },
    onCancel: ({ commands, error }) => {
      facts.cancels.push({ commands, error: error?.message ?? null });
      noted();
      if (config.cancelApi !== undefined && error === undefined) {
        void fetch(config.cancelApi, {
          method: "POST",
          headers: { "content-type": "application/json", ...config.headers },
          body: JSON.stringify({ threadId: lastThreadId }),
        }).then((response) => response.text());
      }
    },
  };

  const tools = Object.entries(config.tools ?? {}).map(toolOf);
  const settings = { callSettings: config.callSettings, config: config.config };

  const Tool = ({ tool }) => (useAssistantTool(tool), null);
  const Instructions = ({ system }) => (useAssistantInstructions(system), null);
  const Settings = () => {
    const aui = useAui();
    useEffect(() => aui.modelContext.register({ getModelContext: () => settings }), [aui]);
    return null;
  };
  const Probe = () => {
    const send = useAssistantTransportSendCommand();
    const state = useAssistantTransportState();
    useEffect(() => {
      page.sendCommand = send;
      lastState = state;
      noted();
    });
    return null;
  };
  const Ready = () => {
    const aui = useAui();
    const [ready, setReady] = useState(false);
    useEffect(() => {
      const look = () => setReady(typeof aui.thread.getState().extras?.sendCommand === "function");
      look();
      return aui.subscribe(look);
    }, [aui]);
    return ready ? h(Probe) : null;
  };

  const Provided = ({ runtime }) => {
    page.runtime = runtime;
    useEffect(() => {
      let last = false;
      return runtime.thread.subscribe(() => {
        const { isLoading } = runtime.thread.getState();
        if (isLoading !== last) facts.loading.push({ isLoading, states: facts.states.length });
        last = isLoading;
        noted();
      });
    }, [runtime]);
    return h(
      AssistantRuntimeProvider,
      { runtime },
      ...tools.map((tool) => h(Tool, { key: tool.toolName, tool })),
      config.system === undefined ? null : h(Instructions, { key: "system", system: config.system }),
      config.callSettings === undefined && config.config === undefined ? null : h(Settings, { key: "settings" }),
      h(Ready, { key: "ready" }),
    );
  };
  const threadList = threadListOf(config);
  const Alone = () => h(Provided, { runtime: useAssistantTransportRuntime(options) });
  const Listed = () =>
    h(Provided, {
      runtime: useRemoteThreadListRuntime({
        runtimeHook: () => useAssistantTransportRuntime(options),
        adapter: threadList,
        ...(config.threadId !== undefined && { threadId: config.threadId }),
      }),
    });

  const root = createRoot(document.getElementById("root"));
  const App = config.threadId === undefined && config.remoteId === undefined ? Alone : Listed;
  root.render(config.strictMode ? h(StrictMode, null, h(App)) : h(App));

  const thread = () => page.runtime.thread.getState();
  page.thread = () => page.runtime.thread;
  page.isReady = () =>
    page.sendCommand !== undefined &&
    (config.threadId === undefined || page.runtime.threads.mainItem.getState().remoteId === config.threadId);
  page.state = () => {
    if (page.mounted && page.isReady()) lastState = thread().extras?.state;
    return lastState;
  };
  page.messages = () => (page.mounted && page.runtime ? (page.lastMessages = thread().messages) : (page.lastMessages ?? []));
  page.isRunning = () => page.mounted && page.runtime !== undefined && thread().isRunning;
  page.unmount = () => {
    page.state();
    page.messages();
    page.mounted = false;
    page.connection = { pendingCommands: [], isSending: false };
    root.unmount();
  };
  return page;
};
