/** Open questions as data: those that the agent asks, and calls of tools of the page that wait for their result. */
import type { Snapshot } from "statecast/client.js";
import type { Question, QuestionOption, StoredMessage } from "statecast/react.js";
import { isOpen, partsOf } from "./messages";

type Fields = { readonly [field: string]: unknown };
type Send = (command: Fields & { readonly type: string }) => Promise<unknown>;

/** The tool that `run.approval` calls. */
const APPROVAL = "approval";
const KINDS = new Set(["approval", "choice", "text", "input"]);

const asFields = (value: unknown): Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
const asText = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);

/** Options as an agent writes them: with ids, or just texts. */
const optionsIn = (value: unknown): readonly QuestionOption[] =>
  (Array.isArray(value) ? value : []).flatMap((one: unknown): QuestionOption[] => {
    if (typeof one === "string") return [{ id: one, label: one }];
    return typeof asFields(one)["id"] === "string" ? [one as QuestionOption] : [];
  });

const asked = (question: Fields, calls: ReadonlyMap<string, Fields>, send: Send): Question => {
  const id = String(question["id"]);
  const call = calls.get(String(question["callId"]));
  const answer = async (value: unknown) => void (await send({ type: "answer", answers: { [id]: value } }));
  const kind = String(question["kind"]);
  return {
    id,
    kind: (KINDS.has(kind) ? kind : "text") as Question["kind"],
    prompt: asText(question["prompt"]),
    options: optionsIn(question["options"]),
    schema: question["schema"] === undefined ? undefined : asFields(question["schema"]),
    details: question["details"],
    call: call && callOf(call),
    answer,
    decline: () => answer(false),
  };
};

const callOf = (part: Fields): Question["call"] & object => ({
  id: String(part["toolCallId"]),
  name: String(part["toolName"]),
  args: part["args"],
});

/** A call of a tool of the page. What it asks is in its arguments, under the names that agents use for it. */
const called = (part: Fields, messageId: string | undefined, send: Send): Question => {
  const call = callOf(part);
  const args = asFields(call.args);
  const { question, prompt, message, options, choices, schema, ...rest } = args;
  const given = optionsIn(options ?? choices);
  const isApproval = call.name === APPROVAL;
  const result = async (value: unknown, isError: boolean) =>
    void (await send({
      type: "add-tool-result",
      toolCallId: call.id,
      toolName: call.name,
      ...(messageId !== undefined && { messageId }),
      result: isApproval && typeof value === "boolean" ? { approved: value } : value,
      isError,
    }));
  return {
    id: call.id,
    kind: isApproval ? "approval" : schema !== undefined ? "input" : given.length > 0 ? "choice" : "text",
    prompt: asText(question) ?? asText(prompt) ?? asText(message),
    options: given,
    schema: schema === undefined ? undefined : asFields(schema),
    details: Object.keys(rest).length > 0 ? rest : undefined,
    call,
    answer: (value) => result(value, false),
    decline: () => (isApproval ? result(false, false) : result({ declined: true }, true)),
  };
};

/** Return what is open. Nothing is while a run goes on: the calls in its answer are the server's. */
export function questionsOf<State>(
  { isRunning, pending }: Snapshot<State>,
  stored: readonly StoredMessage[],
  listed: readonly unknown[],
  send: Send,
): readonly Question[] {
  const last = stored.at(-1);
  const parts = last?.role === "assistant" ? (partsOf(last) as readonly (Fields & { readonly type: string })[]) : [];
  const calls = new Map(
    stored
      .flatMap((message) => partsOf(message) as readonly (Fields & { readonly type: string })[])
      .filter(({ type }) => type === "tool-call")
      .map((part) => [String(part["toolCallId"]), part]),
  );
  const answered = new Set<unknown>(
    pending.flatMap((command) => [...Object.keys(asFields(command["answers"])), command["toolCallId"]]),
  );
  const questions = listed.map((one) => asked(asFields(one), calls, send));
  const taken = new Set(questions.map(({ call }) => call?.id));
  const open = isRunning ? [] : parts.filter((part) => isOpen(part) && !taken.has(String(part["toolCallId"])));
  return [...questions, ...open.map((part) => called(part, last?.id, send))].filter(({ id }) => !answered.has(id));
}

/** Where a state has its open questions unless the page says otherwise. */
export const usualPending = (state: unknown): readonly unknown[] | undefined => {
  const pending = (state as { readonly pending?: unknown } | null)?.pending;
  return Array.isArray(pending) ? pending : undefined;
};
