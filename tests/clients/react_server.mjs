// Render a page with the hook of `react.js` on a server, where there is no window: what it prints, and what it asks.
//
//   node react_server.mjs <the module's URL>

import { register } from "node:module";

const HOOK = `
export const resolve = (name, context, next) =>
  next(name, /^[./]|^[a-z]+:/.test(name) || !context.parentURL?.endsWith("/react.js")
    ? context : { ...context, parentURL: ${JSON.stringify(import.meta.url)} });
`;
register(`data:text/javascript,${encodeURIComponent(HOOK)}`);

const requests = [];
globalThis.fetch = async (url) => {
  requests.push(String(url));
  throw new Error("nothing is to be asked");
};

const { createElement: h } = await import("react");
const { renderToString } = await import("react-dom/server");
const { AssistantRuntimeProvider, ThreadPrimitive } = await import("@assistant-ui/react");
const { useStatecast } = await import(process.argv[2]);

const App = ({ options }) => {
  const { runtime, state, threadId, connection } = useStatecast(options);
  return h(
    AssistantRuntimeProvider,
    { runtime },
    h("p", null, JSON.stringify([state, threadId, connection])),
    h(ThreadPrimitive.Messages, null, () => null),
  );
};

const all = [{}, { url: "/agents" }, { url: "http://127.0.0.1:1", threadId: "t-1", threads: true, webSocket: true, urlParam: "thread" }];
const pages = all.map((options) => renderToString(h(App, { options })));
await new Promise(setImmediate);
console.log(JSON.stringify({ pages, requests }));
