/** Nothing is lost: a reload in mid-run, and a server that is killed and started again. */
import { useEffect, useState } from "react";
import { Refused } from "statecast/client.js";
import { connected, forgotten } from "../agent/following";
import { useSignal } from "../agent/signal";
import { inAddress } from "../agent/thread";
import { extent } from "../log/log";
import { kill, serving } from "../server/dev";
import { textOf } from "../server/requests";

/** Where the thread stood, and which process served it, when that was killed; and where it is since another one serves. */
type Trial = {
  readonly revision: number;
  readonly process: number;
  readonly since: { readonly revision: number; readonly process: number; readonly isGone: boolean } | null;
};

/** Milliseconds until it is looked again whether another process serves. */
const PAUSE = 200;

/** Return the process that serves, once it is another one. */
const another = async (before: number): Promise<number> => {
  for (;;) {
    const now = await serving().catch(() => before); // nobody listens yet
    if (now !== before) return now;
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
};

export function Trials() {
  const { revision, count } = useSignal(extent);
  const open = useSignal(connected);
  const isGone = useSignal(forgotten);
  const [trial, setTrial] = useState<Trial | null>(null);
  const [back, setBack] = useState<number | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    if (trial?.since !== null || back === null || !(open || isGone)) return;
    setTrial({ ...trial, since: { revision, process: back, isGone } });
  }, [trial, back, open, isGone, revision]);
  const restart = async (): Promise<void> => {
    setProblem(null);
    setBack(null);
    try {
      const process = await kill();
      setTrial({ revision, process, since: null });
      setBack(await another(process));
    } catch (error) {
      setTrial(null);
      const unknown = error instanceof Refused && error.status === 404;
      setProblem(unknown ? "Only a server that statecast dev has started can be killed from here." : textOf(error));
    }
  };
  return (
    <section className="trials" aria-label="Try to lose something">
      <p>
        A run continues without the page, and a thread survives the death of its server. Try both while the agent is
        working.
      </p>
      <div className="trial-actions">
        <button type="button" className="button quiet small" data-testid="reload" onClick={() => location.reload()}>
          Reload this page
        </button>
        <button
          type="button"
          className="button quiet small"
          data-testid="restart"
          disabled={count === 0 || !inAddress()}
          onClick={() => void restart()}
        >
          Kill and restart the server
        </button>
      </div>
      <p role="status" className="trial" data-testid="trial" data-done={trial?.since ? "" : undefined}>
        {trial !== null && (
          <>
            Process {trial.process} was killed at revision <strong>{trial.revision}</strong>.{" "}
            {trial.since === null ? (
              "Waiting for the next one…"
            ) : trial.since.isGone ? (
              <>
                Process {trial.since.process} does not have this thread: its server keeps threads in memory only. With{" "}
                <code>--store sqlite:///threads.db</code> it would.
              </>
            ) : (
              <>
                Process {trial.since.process} continues at revision <strong>{trial.since.revision}</strong>:{" "}
                {trial.since.revision >= trial.revision ? "nothing was lost." : "the revisions between are lost."}
              </>
            )}
          </>
        )}
      </p>
      {problem !== null && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
    </section>
  );
}
