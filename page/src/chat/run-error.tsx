/** What went wrong, until the next run starts or the user has read it. */
import { failure } from "../agent/failure";
import { useSignal } from "../agent/signal";
import { AlertIcon, ChevronIcon, CloseIcon } from "../icons";

export function RunError() {
  const problem = useSignal(failure);
  return (
    <div role="alert" className="run-error-place">
      {problem !== null && (
        <div className="run-error" data-testid="run-error" data-kind={problem.kind}>
          <AlertIcon />
          <div>
            <p>{problem.text}</p>
            {problem.traceback && (
              <details>
                <summary>
                  <ChevronIcon />
                  Traceback
                </summary>
                <pre tabIndex={0}>{problem.traceback}</pre>
              </details>
            )}
            {problem.kind === "unloaded" && <p className="hint">The page continues as soon as the code loads again.</p>}
          </div>
          <button type="button" className="icon-button" aria-label="Dismiss" onClick={() => failure.set(null)}>
            <CloseIcon />
          </button>
        </div>
      )}
    </div>
  );
}
