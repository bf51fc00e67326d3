/** The form of one custom command. */
import { useAssistantTransportSendCommand, useAuiState } from "@assistant-ui/react";
import { useState, type SyntheticEvent } from "react";
import type { Declared } from "../agent/declared";
import { FieldInput } from "./field-input";
import { readForm, Unreadable } from "../agent/fields";

const complain = (form: HTMLFormElement, { field, message }: Unreadable): void => {
  const input = form.elements.namedItem(field);
  if (!(input instanceof HTMLTextAreaElement)) return;
  input.setCustomValidity(message);
  input.reportValidity();
};

export function CommandForm({ declared: { type, form } }: { declared: Declared }) {
  const send = useAssistantTransportSendCommand();
  const running = useAuiState((s) => s.thread.isRunning);
  const [sent, setSent] = useState("");

  const submit = (event: SyntheticEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const element = event.currentTarget;
    try {
      send({ ...readForm(form, new FormData(element)), type });
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      complain(element, error);
      return;
    }
    // The client holds one request open at a time.
    setSent(running ? "Queued until the run ends" : "Sent");
    element.reset();
  };

  return (
    <form className="command" data-testid={`command-form-${type}`} aria-label={type} onSubmit={submit} onInput={() => setSent("")}>
      <h3>
        <code>{type}</code>
      </h3>
      {form.hint && <p className="hint">{form.hint}</p>}
      {form.fields.map((field) => (
        <FieldInput key={field.name} field={field} />
      ))}
      <div className="command-foot">
        <button type="submit" className="button">
          Send command
        </button>
        <span className="note" role="status">
          {sent}
        </span>
      </div>
    </form>
  );
}
