/** A call of a tool: its name, on demand what went in and came out, and the question that it waits for. */
import type { ToolCallMessagePart } from "@assistant-ui/react";
import { useSession } from "../agent/session";
import { ChevronIcon } from "../icons";
import { OpenQuestion } from "./question";

const pretty = (value: unknown): string => JSON.stringify(value, null, 2);

const dismissed = (result: unknown): boolean => (result as { dismissed?: unknown } | null)?.dismissed === true;

export function ToolCall({ part }: { readonly part: ToolCallMessagePart }) {
  const question = useSession().questions.find(({ call }) => call?.id === part.toolCallId);
  const { result, isError } = part;
  const status =
    result === undefined ? (question ? "waiting for you" : "running") : dismissed(result) ? "dismissed" : isError ? "failed" : "done";
  const answer = typeof result === "string" && result.length < 200 ? result : null;
  return (
    <>
      <details className="tool-call" data-testid="tool-call" data-status={status}>
        <summary>
          <ChevronIcon />
          <code>{part.toolName}</code> <span className="tool-status">{status}</span>
          {answer !== null && <span className="tool-answer">{answer}</span>}
        </summary>
        <pre>{part.argsText || pretty(part.args)}</pre>
        {result !== undefined && <pre>{pretty(result)}</pre>}
      </details>
      {question && <OpenQuestion question={question} />}
    </>
  );
}
