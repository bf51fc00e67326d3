/** An open question of the agent, whatever its tool is called: buttons where it can be decided, else a form. */
import type { Question } from "@statecast/react";
import { Fragment, useId, useState, type SyntheticEvent } from "react";
import { readForm, spoken, toForm, Unreadable, type Schema } from "../agent/fields";
import { useSession } from "../agent/session";
import { FieldInput } from "../panels/field-input";

const APPROVE = [
  { id: true, label: "Approve" },
  { id: false, label: "Deny" },
] as const;

/** What a form calls a value that is no object. */
const VALUE = "value";

/** Return the schema of a form for a question; a value that is no object is its one field. */
const schemaOf = ({ kind, schema = {} }: Question): Schema => {
  if (kind === "input" && schema["properties"] !== undefined) return schema;
  const field = kind === "input" ? schema : { type: "string" };
  return { type: "object", properties: { [VALUE]: { title: "Your answer", ...field } }, required: [VALUE] };
};

function Decision({ question: { kind, options, answer } }: { readonly question: Question }) {
  const choices = options.length > 0 ? options : kind === "approval" ? APPROVE : [];
  return choices.map(({ id, label }, index) => (
    <button
      key={String(id)}
      type="button"
      className={index === 0 ? "button" : "button quiet"}
      data-testid={id === true ? "question-approve" : id === false ? "question-deny" : "question-option"}
      onClick={() => void answer(id).catch(() => {})}
    >
      {label ?? String(id)}
    </button>
  ));
}

function Fields({ question }: { readonly question: Question }) {
  const [form] = useState(() => toForm(schemaOf(question)));
  const submit = (event: SyntheticEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const element = event.currentTarget;
    try {
      const given = readForm(form, new FormData(element));
      const isWhole = question.kind === "input" && question.schema?.["properties"] !== undefined;
      void question.answer(isWhole ? given : given[VALUE]).catch(() => {}); // it is said beside the composer
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      const input = element.elements.namedItem(error.field);
      if (!(input instanceof HTMLTextAreaElement)) return;
      input.setCustomValidity(error.message);
      input.reportValidity();
    }
  };
  return (
    <form onSubmit={submit} className="question-form">
      {form.fields.map((field) => (
        <FieldInput key={field.name} field={field} />
      ))}
      <div className="question-actions">
        <button type="submit" className="button" data-testid="question-submit">
          Answer
        </button>
        <Decline question={question} />
      </div>
    </form>
  );
}

const Decline = ({ question }: { readonly question: Question }) => (
  <button
    type="button"
    className="button quiet"
    data-testid="question-decline"
    onClick={() => void question.decline().catch(() => {})}
  >
    Decline
  </button>
);

/** What the question calls itself where the agent gave it no prompt. */
const promptOf = ({ kind, call }: Question): string =>
  call === undefined ? "The agent has a question." : kind === "approval" ? `Allow ${call.name}?` : `${call.name} needs an answer.`;

/** What a user has to see to decide: the details, or for the approval of a call its arguments. */
const detailsOf = ({ kind, details, call }: Question): unknown =>
  details ?? (kind === "approval" && Object.keys(call?.args ?? {}).length > 0 ? call?.args : undefined);

const isScalar = (value: unknown): value is string | number | boolean | null => value === null || typeof value !== "object";

/** What the question is about: names and values, or whatever else it is as JSON. */
function Details({ details }: { readonly details: unknown }) {
  const fields = Object.entries(typeof details === "object" && !Array.isArray(details) ? (details ?? {}) : {});
  if (fields.length === 0 || !fields.every(([, value]) => isScalar(value))) return <pre>{JSON.stringify(details, null, 2)}</pre>;
  return (
    <dl className="question-details">
      {fields.map(([name, value]) => (
        <Fragment key={name}>
          <dt>{spoken(name)}</dt>
          <dd>{String(value)}</dd>
        </Fragment>
      ))}
    </dl>
  );
}

export function OpenQuestion({ question }: { readonly question: Question }) {
  const { kind, prompt, options } = question;
  const details = detailsOf(question);
  const id = useId();
  const isDecision = kind === "approval" || options.length > 0;
  return (
    <section className="question" data-testid="question" data-kind={kind} aria-labelledby={id}>
      <p id={id} className="question-prompt">
        {prompt ?? promptOf(question)}
      </p>
      {details !== undefined && <Details details={details} />}
      {isDecision ? (
        <div className="question-actions">
          <Decision question={question} />
          {kind !== "approval" && <Decline question={question} />}
        </div>
      ) : (
        <Fields question={question} />
      )}
    </section>
  );
}

/** Questions that are about no call; the others stand where their call is. */
export function OtherQuestions() {
  const { questions } = useSession();
  return questions
    .filter(({ call }) => call === undefined)
    .map((question) => <OpenQuestion key={question.id} question={question} />);
}
