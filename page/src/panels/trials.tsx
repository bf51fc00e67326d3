/** Nothing is lost: a reload in mid-run, and a server that is killed and started again. */
import { useEffect, useState } from "react";
import { connected } from "../agent/following";
import { useSignal } from "../agent/signal";
import { inAddress } from "../agent/thread";
import { extent } from "../log/log";
import { isDev, kill } from "../server/dev";
import { textOf } from "../server/requests";

/** Where the thread stood when the server was killed, and where it stands since. */
type Trial = { readonly before: number; readonly after: number | null };

export function Trials() {
  const { revision, count } = useSignal(extent);
  const open = useSignal(connected);
  const dev = useSignal(isDev);
  const [trial, setTrial] = useState<Trial | null>(null);
  const [away, setAway] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    if (trial === null || trial.after !== null) return;
    if (!open) setAway(true);
    else if (away) setTrial({ ...trial, after: revision });
  }, [trial, open, away, revision]);
  const restart = (): void => {
    setProblem(null);
    setAway(false);
    setTrial({ before: revision, after: null });
    kill().catch((error: unknown) => {
      setTrial(null);
      setProblem(textOf(error));
    });
  };
  return (
    <section className="trials" aria-label="Try to lose something">
      <p>A run goes on without its page, and a thread is there again after its server was killed. Try both while a run is under way.</p>
      <div className="trial-actions">
        <button type="button" className="button quiet small" data-testid="reload" onClick={() => location.reload()}>
          Reload this page
        </button>
        <button
          type="button"
          className="button quiet small"
          data-testid="restart"
          disabled={!dev || count === 0 || !inAddress()}
          title={dev ? undefined : "Only under statecast dev"}
          onClick={restart}
        >
          Kill and restart the server
        </button>
      </div>
      <p role="status" className="trial" data-testid="trial">
        {trial !== null &&
          (trial.after === null ? (
            <>Killed at revision {trial.before}. Waiting for the server…</>
          ) : (
            <>
              Killed at revision <strong>{trial.before}</strong>, back at revision <strong>{trial.after}</strong>: nothing
              was lost.
            </>
          ))}
      </p>
      {problem !== null && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
    </section>
  );
}
