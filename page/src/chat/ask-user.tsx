/** The frontend tool `ask_user`: the agent's turn has ended with a question, and the answer starts its next one. */
import { useAui, useAuiState, type ToolCallMessagePart } from "@assistant-ui/react";
import { useId, type SyntheticEvent } from "react";

const UNANSWERED = "Not answered";

/** What the user answered; a message instead of an answer dismisses the question. */
const answerText = (result: unknown): string => {
  if (typeof result === "string") return result;
  return result === undefined || (result as { dismissed?: unknown } | null)?.dismissed === true
    ? UNANSWERED
    : JSON.stringify(result);
};

export function AskUser({ part }: { part: ToolCallMessagePart }) {
  const aui = useAui();
  const id = useId();
  const open = useAuiState((s) => s.message.isLast);
  const running = useAuiState((s) => s.thread.isRunning);
  const question = typeof part.args["question"] === "string" ? part.args["question"] : "The agent has a question.";

  if (part.result !== undefined || !open) {
    return (
      <dl className="ask-user answered" data-testid="ask-user-answered">
        <dt>{question}</dt>
        <dd>{answerText(part.result)}</dd>
      </dl>
    );
  }

  const submit = (event: SyntheticEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const answer = new FormData(event.currentTarget).get("answer");
    if (typeof answer === "string" && answer.trim()) aui.part.addToolResult(answer.trim());
  };

  return (
    <form className="ask-user" data-testid="ask-user" onSubmit={submit}>
      <label htmlFor={id}>{question}</label>
      <div className="ask-user-row">
        <input id={id} name="answer" className="input" data-testid="ask-user-input" autoComplete="off" required />
        <button type="submit" className="button" data-testid="ask-user-submit" disabled={running}>
          Answer
        </button>
      </div>
    </form>
  );
}
