// `useChat` of the AI SDK, mounted in a page of its own, with the face that its chats have without React.

import { createElement as h, StrictMode, useEffect } from "react";
import { createRoot } from "react-dom/client";
import { useChat } from "@ai-sdk/react";
import { noted, until } from "./facts.mjs";

const TIMEOUT = 60_000; // ms

/** Mount a component around `useHook`, by default `useChat` with `options`; what it shows is what React has rendered. */
export const mountChat = async (options, { strictMode = false, useHook = () => useChat(options) } = {}) => {
  let shown;
  const Page = () => {
    const rendered = useHook();
    useEffect(() => {
      shown = rendered;
      noted();
    });
    return null;
  };
  const root = createRoot(document.body.appendChild(document.createElement("div")));
  root.render(strictMode ? h(StrictMode, null, h(Page)) : h(Page));
  await until(() => shown !== undefined, TIMEOUT, "the hook to be mounted");
  return {
    get id() {
      return shown.id;
    },
    get messages() {
      return shown.messages;
    },
    get status() {
      return shown.status;
    },
    get error() {
      return shown.error;
    },
    sendMessage: (...args) => shown.sendMessage(...args),
    regenerate: (...args) => shown.regenerate(...args),
    resumeStream: (...args) => shown.resumeStream(...args),
    addToolOutput: (...args) => shown.addToolOutput(...args),
    addToolApprovalResponse: (...args) => shown.addToolApprovalResponse(...args),
    stop: (...args) => shown.stop(...args),
    unmount: () => root.unmount(),
  };
};
