/** The form of one custom command. */
import { useAssistantTransportSendCommand, useAuiState } from "@assistant-ui/react";
import { useState, type SyntheticEvent } from "react";
import type { Declared } from "../agent/declared";
import { requests, wasSent } from "../agent/delivery";
import { readForm, Unreadable } from "../agent/fields";
import { useSignal } from "../agent/signal";
import type { CustomCommand } from "../agent/state";
import { FieldInput } from "./field-input";

const complain = (form: HTMLFormElement, { field, message }: Unreadable): void => {
  const input = form.elements.namedItem(field);
  if (!(input instanceof HTMLTextAreaElement)) return;
  input.setCustomValidity(message);
  input.reportValidity();
};

export function CommandForm({ declared: { type, form } }: { declared: Declared }) {
  const send = useAssistantTransportSendCommand();
  const running = useAuiState((s) => s.thread.isRunning);
  const [given, setGiven] = useState<CustomCommand | null>(null);
  useSignal(requests);
  // The client holds one request open at a time; what is given meanwhile goes with the next, or back after a stop.
  const stage = given === null ? "" : wasSent(given) ? "Sent" : running ? "Queued" : "";

  const submit = (event: SyntheticEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const element = event.currentTarget;
    try {
      const command = { ...readForm(form, new FormData(element)), type };
      send(command);
      setGiven(command);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      complain(element, error);
      return;
    }
    element.reset();
  };

  const compact = form.fields.length < 2;
  const note = (
    <span className="note" role="status">
      {stage}
    </span>
  );

  return (
    <form
      className={`command${compact ? " compact" : ""}`}
      data-testid={`command-form-${type}`}
      aria-label={type}
      onSubmit={submit}
      onInput={() => setGiven(null)}
    >
      <div className="command-head">
        <h3>
          <code>{type}</code>
        </h3>
        {form.hint && <p className="hint">{form.hint}</p>}
        {compact && note}
      </div>
      {form.fields.map((field) => (
        <FieldInput key={field.name} field={field} />
      ))}
      <div className="command-foot">
        <button type="submit" className="button">
          Send command
        </button>
        {!compact && note}
      </div>
    </form>
  );
}
