/** What went wrong with the last request or run, in words, and what the user had written. */
import type { AssistantTransportCommand } from "@assistant-ui/react";
import { isAddMessage } from "./commands";
import { Signal } from "./signal";

/** `lost`: the server cannot be reached, and the run may well go on. `note`: nothing failed, but the user should know. */
export type Failure = { readonly kind: "failed" | "lost" | "note"; readonly text: string };

export const failure = new Signal<Failure | null>(null);

/** Text of messages that never reached the thread; the composer takes it back. */
export const unsent = new Signal<string | null>(null);

/** The text of an error: a refused request carries `{"error": {"message"}}` after its status. */
const readable = (error: Error): string => {
  const refused = /^Status (\d+): ([\s\S]*)$/.exec(error.message);
  if (refused) {
    const [, status = "", body = ""] = refused;
    try {
      const { error: answer } = JSON.parse(body) as { error?: { message?: unknown } };
      if (typeof answer?.message === "string") return answer.message;
    } catch {
      // Not ours: a proxy's page, or nothing at all.
    }
    return body && body.length < 300 && !body.startsWith("<") ? body : `The server answered with status ${status}.`;
  }
  return error.message || "The run failed.";
};

export const fail = (error: Error): void => failure.set({ kind: "failed", text: readable(error) });

/** The server is out of reach. That is looked at again and again. */
export const lost = (): void =>
  failure.set({ kind: "lost", text: "The connection to the server was lost. Reconnecting…" });

/** The server is there again. */
export const found = (): void => {
  if (failure.get()?.kind === "lost") failure.set(null);
};

/** The server has forgotten the thread. It adopts what the page still has, with the next command. */
export const gone = (): void =>
  failure.set({ kind: "note", text: "The server no longer has this thread. The next message starts it anew from here." });

/** Whether it is the connection that failed: there was none, it broke, or it ended without the end marker. */
export const isLoss = (error: Error): boolean => error instanceof TypeError || error.message.includes("[DONE]");

/** Hand back what the server has not accepted: messages to the composer, other commands by name to the reader. */
export const giveBack = (commands: readonly AssistantTransportCommand[]): void => {
  const text = commands
    .filter(isAddMessage)
    .flatMap(({ message }) => message.parts)
    .map((part) => (part.type === "text" ? part.text : ""))
    .join("\n")
    .trim();
  if (text) unsent.set(text);
  const others = commands.filter((command) => !isAddMessage(command)).map(({ type }) => type);
  if (others.length === 0) return;
  const { kind, text: before } = failure.get() ?? { kind: "note", text: "" };
  failure.set({ kind, text: `${before} Not sent: ${others.join(", ")}.`.trim() });
};
