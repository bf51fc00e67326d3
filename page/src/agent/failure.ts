/** Why the last request or run failed, in words, and what the user had written. */
import type { AssistantTransportCommand } from "@assistant-ui/react";
import { isAddMessage } from "./commands";
import { Signal } from "./signal";

export const failure = new Signal<string | null>(null);

/** Text of messages that never reached the thread; the composer takes it back. */
export const unsent = new Signal<string | null>(null);

/** The text of an error: a refused request carries `{"error": {"message"}}` after its status. */
export const readable = (error: Error): string => {
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
  if (error instanceof TypeError) return "The connection to the server was lost.";
  return error.message || "The run failed.";
};

/** Hand back what the server has not confirmed: messages to the composer, other commands by name to the reader. */
export const giveBack = (commands: readonly AssistantTransportCommand[]): void => {
  const text = commands
    .filter(isAddMessage)
    .flatMap(({ message }) => message.parts)
    .map((part) => (part.type === "text" ? part.text : ""))
    .join("\n")
    .trim();
  if (text) unsent.set(text);
  const others = commands.filter((command) => !isAddMessage(command)).map(({ type }) => type);
  if (others.length > 0) failure.set([failure.get(), `Not confirmed: ${others.join(", ")}.`].filter(Boolean).join(" "));
};
