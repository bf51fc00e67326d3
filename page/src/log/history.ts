/** What happened on the thread before the page was opened, as far as the server keeps it. */
import { Refused } from "statecast/client.js";
import { threadId } from "../agent/thread";
import { at } from "../server/address";
import { eventsOf } from "../server/event-stream";
import type { Frame } from "./recording";

/**
 * Return the frames from the beginning of the history to a revision.
 *
 * It is an ordinary reader of the thread's events, which leaves when it has come so far.
 */
export const readHistory = async (until: number): Promise<readonly Frame[]> => {
  const control = new AbortController();
  const response = await fetch(at(`threads/${encodeURIComponent(threadId)}/events?cursor=start`), {
    signal: control.signal,
    cache: "no-store",
    headers: { accept: "text/event-stream" },
  });
  if (!response.ok) throw await Refused.of(response);
  const frames: Frame[] = [];
  for await (const { id, data } of eventsOf(response)) {
    const frame: Frame = { ...(JSON.parse(data) as Frame), cursor: id };
    frames.push(frame);
    if (Number(frame["revision"]) >= until) break;
  }
  control.abort();
  return frames;
};
