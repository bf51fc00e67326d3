/** The form of one custom command. */
import { useState, type SyntheticEvent } from "react";
import type { Declared } from "../agent/declared";
import { readForm, Unreadable } from "../agent/fields";
import { useSession } from "../agent/session";
import { FieldInput } from "./field-input";

const complain = (form: HTMLFormElement, { field, message }: Unreadable): void => {
  const input = form.elements.namedItem(field);
  if (!(input instanceof HTMLTextAreaElement)) return;
  input.setCustomValidity(message);
  input.reportValidity();
};

export function CommandForm({ declared: { type, form } }: { declared: Declared }) {
  const { send, queued } = useSession();
  /** The run that the command led to; null while it is on its way; undefined: nothing was sent. */
  const [led, setLed] = useState<string | null>();
  const isQueued = queued.some(({ runId }) => runId === led);
  const stage = led === undefined ? "" : led === null ? "Sending…" : isQueued ? "Queued" : "Sent";

  const submit = (event: SyntheticEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const element = event.currentTarget;
    try {
      const command = { ...readForm(form, new FormData(element)), type };
      setLed(null);
      send(command).then(
        ({ runId }) => setLed(runId ?? ""),
        () => setLed(undefined), // what was refused is said beside the composer
      );
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
      onInput={() => setLed(undefined)}
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
