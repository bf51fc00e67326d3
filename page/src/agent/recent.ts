/** The latest messages of a long conversation: the work of the chat's runtime grows with the number that it has. */
import type { DemoState, Message } from "./state";

/** Messages that the runtime has at least, and how many more come before the oldest of them leave. */
const LEAST = 100;
const STEP = 40;

const NONE: readonly Message[] = [];

const messagesIn = (state: DemoState): readonly Message[] => {
  const messages: unknown = state?.messages;
  return Array.isArray(messages) ? (messages as readonly Message[]) : NONE;
};

/** Return how many messages stand before the latest. */
export const earlierIn = (state: DemoState): number =>
  Math.max(0, Math.floor((messagesIn(state).length - LEAST) / STEP) * STEP);

/** Return the latest messages. */
export const recentIn = (state: DemoState): readonly Message[] => {
  const earlier = earlierIn(state);
  return earlier === 0 ? messagesIn(state) : messagesIn(state).slice(earlier);
};

/**
 * Return how many of the latest messages cannot be edited, nor answered again: the runtime does not have the one before,
 * and an edit without that would begin the conversation anew.
 */
export const fixedIn = (state: DemoState): number => {
  const earlier = earlierIn(state);
  if (earlier === 0) return 0;
  const messages = messagesIn(state);
  let next = earlier + 1;
  while (next < messages.length && messages[next]?.role !== "user") next++;
  return next - earlier;
};
