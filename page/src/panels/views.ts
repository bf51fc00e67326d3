/** Which view is open, and whether the list of threads is. */
import { Signal } from "../agent/signal";

/** `chat` is a view on a phone only; elsewhere the chat is always there. */
export type View = "chat" | "state" | "operations" | "runs" | "commands" | "clients";

export const view = new Signal<View>("chat");

/** Whether the list of threads is open; null: as the screen has room. */
export const threadsOpen = new Signal<boolean | null>(null);
