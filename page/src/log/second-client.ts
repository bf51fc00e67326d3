/** A second client of the open thread: the frames that it gets in its protocol, and the answer that it makes of them. */
import { Refused } from "statecast/client.js";
import { eventsOf } from "../server/event-stream";
import { textOf } from "../server/requests";
import type { Protocol } from "./protocols";

export type Heard = {
  /** The latest frames, as they came. */
  readonly frames: readonly { readonly number: number; readonly text: string }[];
  readonly total: number;
  readonly bytes: number;
  readonly answer: string;
  readonly connection: "connecting" | "open" | "ended" | "failed";
  readonly problem: string | null;
};

/** Frames that are kept. */
const KEEP = 100;
/** Milliseconds between two updates. */
const PACE = 60;

export const NOTHING: Heard = {
  frames: [],
  total: 0,
  bytes: 0,
  answer: "",
  connection: "connecting",
  problem: null,
};

/** Open the client, and tell what it has heard until it is closed; returns what closes it. */
export const listen = (protocol: Protocol, tell: (heard: Heard) => void): (() => void) => {
  const control = new AbortController();
  const reader = protocol.reader();
  let heard = NOTHING;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const publish = (): void => {
    timer = undefined;
    tell(heard);
  };
  const note = (changes: Partial<Heard>): void => {
    heard = { ...heard, ...changes };
    timer ??= setTimeout(publish, PACE);
  };

  const work = async (): Promise<void> => {
    const response = await protocol.open(control.signal);
    if (!response.ok) throw await Refused.of(response);
    note({ connection: "open" });
    for await (const { data: text } of eventsOf(response)) {
      const total = heard.total + 1;
      note({
        total,
        frames: [...heard.frames, { number: total, text }].slice(-KEEP),
        bytes: heard.bytes + text.length,
        answer: reader.read(text),
      });
    }
    note({ connection: "ended" });
  };
  work().catch((error: unknown) => {
    if (!control.signal.aborted) note({ connection: "failed", problem: textOf(error) });
  });
  return () => {
    control.abort();
    clearTimeout(timer);
  };
};
