// The hook of `react.js` in a page with assistant-ui's provider and primitives, driven in a DOM.
//
// The module is the one that the server serves, or that the package has: what it imports is that of the tests.

import { register } from "node:module";
import "./page.mjs";
import { facts, noted, settle, until } from "./facts.mjs";

const TIMEOUT = 60_000; // ms for one step

const HOOK = `
export const resolve = (name, context, next) =>
  next(name, /^[./]|^[a-z]+:/.test(name) || !context.parentURL?.endsWith("/react.js")
    ? context : { ...context, parentURL: ${JSON.stringify(import.meta.url)} });
`;
register(`data:text/javascript,${encodeURIComponent(HOOK)}`);

const { createElement: h, StrictMode } = await import("react");
const { createRoot } = await import("react-dom/client");
const aui = await import("@assistant-ui/react");

let page;

/** What the page shows of a message, and the object that it is. */
const shown = ({ id, role, content, status, metadata }) => ({
  id,
  role,
  text: content.map((part) => part.text ?? part.toolName ?? part.name ?? part.type).join("|"),
  status: status?.type === "incomplete" ? status.reason : status?.type,
  queued: metadata.custom.queued,
  isOptimistic: metadata.isOptimistic === true,
});

const messages = () => page.hook.runtime.thread.getState().messages;
const view = () => ({ hook: page.hook, messages: messages().map(shown), page });

const mount = async ({ module, options = {}, strict = true, tools = {} }) => {
  const { useStatecast } = await import(module);
  const made = { renders: 0, errors: [], frames: [] };
  page = made;
  const { AssistantRuntimeProvider, ThreadPrimitive, MessagePrimitive, ComposerPrimitive } = aui;
  const Tool = ({ name, execute }) => {
    aui.useAssistantTool({ toolName: name, type: "frontend", parameters: { type: "object" }, execute: new Function(`return (${execute})`)() });
    return null;
  };
  const App = () => {
    made.hook = useStatecast({
      ...options,
      onError: (error) => made.errors.push(error.code ?? error.message),
      onFrame: ({ type }) => made.frames.push(type),
    });
    made.renders += 1;
    queueMicrotask(noted);
    return h(
      AssistantRuntimeProvider,
      { runtime: made.hook.runtime },
      Object.entries(tools).map(([name, execute]) => h(Tool, { key: name, name, execute })),
      h(ThreadPrimitive.Messages, null, () => h(MessagePrimitive.Root, null, h(MessagePrimitive.Parts))),
      h(ComposerPrimitive.Root, null, h(ComposerPrimitive.Input)),
    );
  };
  made.root = createRoot(document.getElementById("root"));
  made.root.render(strict ? h(StrictMode, null, h(App)) : h(App));
  await until(() => made.hook !== undefined, TIMEOUT, "the first render");
  const { runtime } = made.hook;
  const leaves = [runtime.thread.subscribe(noted), runtime.thread.composer.subscribe(noted)];
  made.leave = () => leaves.forEach((leave) => leave());
  await settle();
};

const unmount = async () => {
  page?.leave?.();
  page?.root.unmount();
  await settle();
};

const STEPS = {
  /** Load the page once more, with the thread that its address names. */
  reload: async ({ settings }) => {
    await unmount();
    document.body.innerHTML = '<div id="root"></div>';
    await mount(settings);
  },
  /** Call a function with the hook's value; its own error is what it came to. */
  act: async ({ of }) => {
    const act = new Function(`return (${of})`)();
    try {
      const value = await act(view());
      return { value: value ?? null };
    } catch (error) {
      return { failed: error.code ?? error.message };
    }
  },
  wait: async ({ for: source }) => {
    const holds = new Function(`return (${source})`)();
    const now = () => JSON.stringify({ messages: messages().map(shown), state: page.hook.state, run: page.hook.run });
    await until(() => holds(view()), TIMEOUT, source).catch((error) => {
      throw new Error(`${error.message}; it is ${now()}`);
    });
    await settle();
    const { state, run, isRunning, threadId, queued, pending, connection } = page.hook;
    return { messages: messages().map(shown), state, run, isRunning, threadId, queued, pending, connection };
  },
};

export default {
  open: mount,
  perform: async ({ do: name, ...fields }) => (await STEPS[name](fields)) ?? {},
  report: async () => ({
    ...{ console: facts.console, uncaught: facts.uncaught, requests: facts.requests },
    ...{ renders: page?.renders ?? 0, errors: page?.errors ?? [], address: location.href },
  }),
  close: async () => {
    await unmount();
    history.replaceState(null, "", "http://127.0.0.1/");
  },
};
