import type { Snapshot } from "./client";

export type Message = {
  readonly id: string;
  readonly role: "user" | "assistant";
  readonly parts: readonly { readonly text?: string }[];
  readonly isWaiting?: boolean;
};

export type Garden = {
  readonly messages: readonly Message[];
  readonly plants: readonly { readonly name: string; readonly ordered: boolean }[];
  readonly pending?: readonly { readonly id: string; readonly prompt: string }[];
};

export const textOf = ({ parts }: Message): string => parts.map(({ text }) => text ?? "").join("");

/** The messages of the thread, and behind them those that are on their way or wait for the active run. */
export function messagesOf({ state, queued, pending }: Snapshot<Garden>): Message[] {
  const sent = [...queued.flatMap(({ commands = [] }) => commands), ...pending];
  const messages = new Map((state?.messages ?? []).map((message) => [message.id, message]));
  for (const { message } of sent as readonly { readonly message?: Message }[]) {
    if (message && !messages.has(message.id)) messages.set(message.id, { ...message, isWaiting: true });
  }
  return [...messages.values()];
}
