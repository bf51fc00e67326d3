/** The protocols in which a second client can read the open thread, and what each of them makes of it. */
import { apply, type Json, type Operation } from "statecast/client.js";
import { threadId } from "../agent/thread";
import { at } from "../server/address";

/** A client's view of the last answer, changed by each frame. */
export interface Reader {
  /** Return the text of the answer after a frame. */
  read(frame: string): string;
}

export type Protocol = {
  readonly name: string;
  readonly label: string;
  /** The request that it is, for people. */
  readonly request: string;
  /** Whether its stream goes on over all runs, or is that of one run. */
  readonly follows: "thread" | "run";
  readonly open: (signal: AbortSignal) => Promise<Response>;
  readonly reader: () => Reader;
};

type Frame = { readonly type?: string; readonly [field: string]: any };

const id = encodeURIComponent(threadId);

const asked = (path: string, signal: AbortSignal, body?: unknown): Promise<Response> =>
  fetch(at(path), {
    signal,
    cache: "no-store",
    headers: { accept: "text/event-stream", ...(body !== undefined && { "content-type": "application/json" }) },
    ...(body !== undefined && { method: "POST", body: JSON.stringify(body) }),
  });

const parsed = (frame: string): Frame => {
  try {
    const value = JSON.parse(frame) as unknown;
    return typeof value === "object" && value !== null ? (value as Frame) : {};
  } catch {
    return {}; // the end marker of its protocol
  }
};

type Part = { readonly type: string; readonly text?: string };
type Message = { readonly role?: string; readonly parts?: readonly Part[]; readonly content?: unknown };

/** Return the text of the last answer in a state with messages. */
const answerIn = (state: Json): string => {
  const { messages } = (state ?? {}) as { readonly messages?: readonly Message[] };
  const last = messages?.at(-1);
  if (last?.role !== "assistant") return "";
  return (last.parts ?? []).map(({ type, text }) => (type === "text" ? (text ?? "") : "")).join("");
};

const operations = (): Reader => {
  let state: Json = null;
  return {
    read(text) {
      const frame = parsed(text);
      if (frame.type === "snapshot") state = frame["state"] as Json;
      if (frame.type === "update-state") state = apply(state, frame["operations"] as readonly Operation[]);
      return answerIn(state);
    },
  };
};

const wholes = (): Reader => {
  let answer = "";
  return {
    read(text) {
      const frame = parsed(text);
      if (frame.type === "snapshot") answer = answerIn(frame["state"] as Json);
      return answer;
    },
  };
};

const uiMessages = (): Reader => {
  let answer = "";
  return {
    read(text) {
      const frame = parsed(text);
      if (frame.type === "text-delta") answer += String(frame["delta"] ?? "");
      return answer;
    },
  };
};

const agUi = (): Reader => {
  let answer = "";
  return {
    read(text) {
      const frame = parsed(text);
      if (frame.type === "MESSAGES_SNAPSHOT") {
        const messages = frame["messages"] as readonly Message[];
        const said = messages.findLastIndex(({ role }) => role === "user");
        answer = messages
          .slice(said + 1)
          .map(({ role, content }) => (role === "assistant" && typeof content === "string" ? content : ""))
          .join("");
      }
      if (frame.type === "TEXT_MESSAGE_CONTENT") answer += String(frame["delta"] ?? "");
      return answer;
    },
  };
};

let asks = 0;

export const PROTOCOLS: readonly Protocol[] = [
  {
    name: "ui-message-stream",
    label: "AI SDK UI message stream",
    request: `GET /chat/${threadId}/stream`,
    follows: "run",
    open: (signal) => asked(`chat/${id}/stream`, signal),
    reader: uiMessages,
  },
  {
    name: "ag-ui",
    label: "AG-UI",
    request: "POST /ag-ui",
    follows: "run",
    open: (signal) =>
      asked("ag-ui", signal, {
        threadId,
        runId: `second-client-${++asks}`,
        ...{ state: {}, messages: [], tools: [], context: [], forwardedProps: {} },
      }),
    reader: agUi,
  },
  {
    name: "events",
    label: "Server-sent events: operations",
    request: `GET /threads/${threadId}/events`,
    follows: "thread",
    open: (signal) => asked(`threads/${id}/events`, signal),
    reader: operations,
  },
  {
    name: "snapshots",
    label: "Server-sent events: whole states",
    request: `GET /threads/${threadId}/events?format=snapshot`,
    follows: "thread",
    open: (signal) => asked(`threads/${id}/events?format=snapshot`, signal),
    reader: wholes,
  },
];
