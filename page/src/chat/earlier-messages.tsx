/** Messages before the latest, some at a time: to read, and nothing in them can be sent. */
import { messagesOf } from "@statecast/react";
import { useMemo, useState } from "react";
import { earlierIn } from "../agent/recent";
import type { DemoState } from "../agent/state";
import { ReadOnly } from "./read-only";

/** Messages that a click shows. */
const STEP = 60;

function Stretch({ state, from, to }: { readonly state: DemoState; readonly from: number; readonly to: number }) {
  const stored = state?.messages;
  const messages = useMemo(() => messagesOf({ messages: stored?.slice(from, to) ?? [] }), [stored, from, to]);
  return (
    <fieldset disabled>
      <ReadOnly messages={messages} />
    </fieldset>
  );
}

export function EarlierMessages({ state }: { readonly state: DemoState }) {
  const [steps, setSteps] = useState(0);
  const earlier = earlierIn(state);
  if (earlier === 0) return null;
  const first = Math.max(0, earlier - steps * STEP);
  const starts = Array.from({ length: Math.ceil((earlier - first) / STEP) }, (_, step) => first + step * STEP);
  return (
    <div className="earlier-messages">
      {first > 0 && (
        <button
          type="button"
          className="button quiet small"
          data-testid="earlier-messages"
          onClick={() => setSteps(steps + 1)}
        >
          Show earlier messages
          <span className="note">{first.toLocaleString("en")}</span>
        </button>
      )}
      {starts.map((from) => (
        <Stretch key={from} state={state} from={from} to={Math.min(earlier, from + STEP)} />
      ))}
    </div>
  );
}
