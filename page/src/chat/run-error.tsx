/** Why the last run failed, until the next one starts or the user has read it. */
import { failure } from "../agent/failure";
import { useSignal } from "../agent/signal";
import { AlertIcon, CloseIcon } from "../icons";

export function RunError() {
  const text = useSignal(failure);
  return (
    <div role="alert" className="run-error-place">
      {text !== null && (
        <div className="run-error" data-testid="run-error">
          <AlertIcon />
          <p>{text}</p>
          <button type="button" className="icon-button" aria-label="Dismiss" onClick={() => failure.set(null)}>
            <CloseIcon />
          </button>
        </div>
      )}
    </div>
  );
}
