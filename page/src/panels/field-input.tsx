/** One field of a command's form. */
import { useId, type ReactElement } from "react";
import type { Field } from "../agent/fields";

type InputProps = {
  readonly id: string;
  readonly name: string;
  readonly required: boolean;
  readonly "aria-describedby": string | undefined;
};

const asInitial = (initial: Field["initial"]): string =>
  initial === undefined || initial === null ? "" : typeof initial === "string" ? initial : JSON.stringify(initial);

const clearComplaint = ({ currentTarget }: { currentTarget: HTMLTextAreaElement }): void =>
  currentTarget.setCustomValidity("");

const draw = ({ control, initial, required, nullable }: Field, props: InputProps): ReactElement => {
  switch (control.kind) {
    case "text": {
      const { minLength, maxLength } = control;
      const text = { ...props, minLength, maxLength, defaultValue: asInitial(initial), className: "input" };
      return control.long ? <textarea {...text} rows={3} /> : <input {...text} type="text" autoComplete="off" />;
    }
    case "number": {
      const { min, max, step } = control;
      return (
        <input
          {...props}
          className="input"
          type="number"
          min={min}
          max={max}
          step={step}
          defaultValue={asInitial(initial)}
        />
      );
    }
    case "switch":
      return <input {...props} required={false} className="switch" type="checkbox" defaultChecked={initial === true} />;
    case "choice": {
      const at = control.options.findIndex((option) => option === initial);
      return (
        <select {...props} className="input" defaultValue={at < 0 ? "" : String(at)}>
          {(at < 0 || !required || nullable) && <option value="">{required && !nullable ? "Choose…" : "None"}</option>}
          {control.options.map((option, index) => (
            <option key={index} value={index}>
              {String(option)}
            </option>
          ))}
        </select>
      );
    }
    case "json":
      return (
        <textarea
          {...props}
          className="input code"
          rows={3}
          spellCheck={false}
          placeholder={control.example}
          defaultValue={initial === undefined ? "" : JSON.stringify(initial)}
          onInput={clearComplaint}
        />
      );
  }
};

export function FieldInput({ field }: { field: Field }) {
  const id = useId();
  const hint = `${id}-hint`;
  const required = field.required && !field.nullable;
  return (
    <div className={`field ${field.control.kind}`}>
      <label htmlFor={id}>
        {field.label}
        {!required && field.control.kind !== "switch" && <small> optional</small>}
        {field.control.kind === "json" && <small> JSON</small>}
      </label>
      {draw(field, { id, name: field.name, required, "aria-describedby": field.hint && hint })}
      {field.hint && (
        <p className="hint" id={hint}>
          {field.hint}
        </p>
      )}
    </div>
  );
}
