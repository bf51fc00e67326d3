// A browser page without a browser: a DOM, a console that is listened to, and a fetch that is written down.
//
// Import this before anything that looks at `window`. The DOM has no streaming fetch, so the page uses Node's.

import { format } from "node:util";
import { JSDOM } from "jsdom";
import { facts, noted } from "./facts.mjs";

const { window } = new JSDOM('<!doctype html><div id="root"></div>', {
  url: "http://127.0.0.1/",
  pretendToBeVisual: true,
});

const BORROWED = [
  "document", "navigator", "location", "history", "localStorage", "sessionStorage", "Node", "Element", "HTMLElement",
  "HTMLInputElement", "HTMLTextAreaElement", "HTMLIFrameElement", "MutationObserver", "getComputedStyle",
  "requestAnimationFrame", "cancelAnimationFrame",
];
globalThis.window = window;
for (const name of BORROWED) {
  Object.defineProperty(globalThis, name, { value: window[name], configurable: true, writable: true });
}

for (const level of ["log", "info", "debug", "warn", "error"]) {
  console[level] = (...args) => {
    facts.console.push({ level, text: format(...args) });
    noted();
  };
}
for (const event of ["uncaughtException", "unhandledRejection"]) {
  process.on(event, (error) => {
    facts.uncaught.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
    noted();
  });
}

const parsed = (body) => {
  try {
    return JSON.parse(body);
  } catch {
    return body ?? null;
  }
};

/** How a request failed; what a page passes to `abort()` need not be an error. */
const failureOf = (error, signal) =>
  signal?.aborted ? "aborted" : `error: ${String(error?.cause?.message ?? error?.message ?? error)}`;

/** Pass `body` through unchanged, writing down its text and how it ended. */
const written = (body, record, signal) => {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const end = (how) => {
    if (record.end === "open") record.end = how;
    noted();
  };
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          record.body += decoder.decode(value, { stream: !done });
          if (done) {
            if (record.end === "open") controller.close();
            end("complete");
          } else {
            noted();
            controller.enqueue(value);
          }
        } catch (error) {
          end(failureOf(error, signal));
          controller.error(error);
        }
      },
      cancel(reason) {
        end("left"); // What the client does after `[DONE]`; an aborted fetch shows as a failed read.
        return reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
};

const wire = globalThis.fetch;
globalThis.fetch = window.fetch = async (url, init = {}) => {
  facts.requests.push({
    url: String(url),
    method: init.method ?? "GET",
    headers: Object.fromEntries(new Headers(init.headers)),
    body: parsed(init.body),
  });
  const record = { status: null, headers: {}, body: "", end: "open" };
  facts.responses.push(record);
  noted();
  let response;
  try {
    response = await wire(url, init);
  } catch (error) {
    record.end = failureOf(error, init.signal);
    noted();
    throw error;
  }
  record.status = response.status;
  record.headers = Object.fromEntries(response.headers);
  if (response.body === null) record.end = "complete";
  noted();
  return response.body === null
    ? response
    : new Response(written(response.body, record, init.signal), {
        status: response.status,
        statusText: response.statusText,
        headers: response.headers,
      });
};
