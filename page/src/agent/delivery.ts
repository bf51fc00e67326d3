/** How far commands have come. The client keeps the objects themselves until the state shows their effect. */
import type { AssistantTransportCommand } from "@assistant-ui/react";
import { Signal } from "./signal";

type Commands = readonly AssistantTransportCommand[];

const sent = new WeakSet<AssistantTransportCommand>();
const accepted = new WeakSet<AssistantTransportCommand>();

let latest: Commands = [];

/** How many requests went out: tells when to look again. */
export const requests = new Signal(0);

/** A request with these commands goes out. */
export const markSent = (commands: Commands): void => {
  latest = commands;
  for (const command of commands) sent.add(command);
  requests.set(requests.get() + 1);
};

/** The request that went out last was accepted: its commands are the server's now, whatever becomes of the stream. */
export const markAccepted = (): void => {
  for (const command of latest) accepted.add(command);
};

/** Whether a command has left the page; one that has not waits for the run that is under way. */
export const wasSent = (command: AssistantTransportCommand): boolean => sent.has(command);

export const wasAccepted = (command: AssistantTransportCommand): boolean => accepted.has(command);
