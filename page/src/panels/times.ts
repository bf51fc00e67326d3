/** Times and sizes as people read them. */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Return how long ago a time was. */
export const ago = (time: number, now = Date.now()): string => {
  const passed = now - time;
  if (passed < MINUTE) return "now";
  if (passed < HOUR) return `${Math.floor(passed / MINUTE)} min`;
  if (passed < DAY) return `${Math.floor(passed / HOUR)} h`;
  if (passed < 7 * DAY) return `${Math.floor(passed / DAY)} d`;
  return new Date(time).toLocaleDateString("en", { day: "numeric", month: "short" });
};

/** Return a time of the day, with the date unless it is today. */
export const clock = (time: number): string => {
  const then = new Date(time);
  const text = then.toLocaleTimeString("en-GB");
  const today = then.toDateString() === new Date().toDateString();
  return today ? text : `${then.toLocaleDateString("en", { day: "numeric", month: "short" })}, ${text}`;
};

/** Return a duration in milliseconds. */
export const duration = (ms: number): string => {
  if (ms < 1) return "0 ms";
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < MINUTE) return `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  return `${Math.floor(ms / MINUTE)} min ${Math.round((ms % MINUTE) / 1_000)} s`;
};

/** Return a number of bytes. */
export const bytes = (size: number): string => {
  if (size < 1_000) return `${size} B`;
  if (size < 1_000_000) return `${(size / 1_000).toFixed(1)} kB`;
  return `${(size / 1_000_000).toFixed(1)} MB`;
};

/** Return a number with its noun, which gets an s unless it is 1. */
export const count = (number: number, noun: string): string =>
  `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
