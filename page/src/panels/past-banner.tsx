/** What the reader may do with the past that the page shows. */
import { useState } from "react";
import { useSignal } from "../agent/signal";
import { threadId } from "../agent/thread";
import { extent, recording, show, shown } from "../log/log";
import { pageWith } from "../server/address";
import { post, textOf } from "../server/requests";
import { Refused } from "statecast/client.js";
import { clock } from "./times";

type Forked = { readonly threadId: string; readonly revision: number };

const thread = `threads/${encodeURIComponent(threadId)}`;

export function PastBanner() {
  const at = useSignal(shown);
  const { begins, revision } = useSignal(extent);
  const [problem, setProblem] = useState<string | null>(null);
  const [running, setRunning] = useState(false);
  if (at === null) return null;

  const entry = recording.entryAt(at);
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    setProblem(null);
    setRunning(false);
    try {
      await work();
    } catch (error) {
      setRunning(error instanceof Refused && error.code === "run_active");
      setProblem(textOf(error));
    }
  };
  const fork = (): Promise<void> =>
    attempt(async () => {
      const { threadId: made } = await post<Forked>(`${thread}/fork`, { revision: at });
      location.assign(pageWith(made));
    });
  const rewind = (cancel: boolean): Promise<void> =>
    attempt(async () => {
      await post(`${thread}/rewind`, { revision: at, ...(cancel && { cancel }) });
      show(null);
    });

  return (
    <section className="past-banner" data-testid="past-banner" aria-label="History">
      <p role="status">
        You are looking at <strong>revision {at}</strong> of {revision}
        {!!entry?.at && <>, {clock(entry.at)}</>}.
        {at === begins && <> The history kept for this thread begins here.</>}
      </p>
      <div className="past-actions">
        <button type="button" className="button small" data-testid="fork" onClick={() => void fork()}>
          Fork from here
        </button>
        <button type="button" className="button quiet small" data-testid="rewind" onClick={() => void rewind(false)}>
          Rewind to here
        </button>
        <button type="button" className="button quiet small" data-testid="back-to-now" onClick={() => show(null)}>
          Back to now
        </button>
      </div>
      {problem !== null && (
        <p className="problem" role="alert">
          {problem}{" "}
          {running && (
            <button type="button" className="button quiet small" data-testid="rewind-cancel" onClick={() => void rewind(true)}>
              Stop the run and rewind
            </button>
          )}
        </p>
      )}
    </section>
  );
}
