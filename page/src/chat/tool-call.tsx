/** A call of a tool: its name, on demand what went in and came out, and the question that it waits for. */
import { useAuiState, type ToolCallMessagePart } from "@assistant-ui/react";
import { messagesOf } from "@statecast/react";
import { useMemo } from "react";
import { useSession } from "../agent/session";
import { ChevronIcon } from "../icons";
import { useMoment } from "../log/log";
import { OpenQuestion } from "./question";
import { ReadOnly } from "./read-only";

const pretty = (value: unknown): string => JSON.stringify(value, null, 2);

/** What a result says of itself, where it is no value: those of approvals, and of questions that were passed over. */
const outcomeOf = (result: unknown): string | undefined => {
  const { dismissed, approved } = (result ?? {}) as { readonly dismissed?: unknown; readonly approved?: unknown };
  if (dismissed === true) return "dismissed";
  return typeof approved === "boolean" ? (approved ? "approved" : "denied") : undefined;
};

/** Return what became of a call that has no result: its run works on it, waits for its user, or has left it behind. */
const useUnanswered = (): string => {
  const type = useAuiState((s) => s.message.status?.type);
  return type === "running" ? "running" : type === "requires-action" ? "waiting for you" : "no answer";
};

/** The conversation of an agent that works within a call. */
function SubAgent({ stored, name }: { readonly stored: readonly unknown[]; readonly name: string }) {
  const messages = useMemo(() => messagesOf({ messages: stored }), [stored]);
  return (
    <section className="sub-agent" aria-label={`Messages of ${name}`} data-testid="sub-agent">
      <ReadOnly messages={messages} />
    </section>
  );
}

export function ToolCall({ part }: { readonly part: ToolCallMessagePart }) {
  const isPast = useMoment() !== null;
  const open = useSession().questions.find(({ call }) => call?.id === part.toolCallId);
  const question = isPast ? undefined : open;
  const unanswered = useUnanswered();
  const { result, isError } = part;
  const status = result === undefined ? unanswered : (outcomeOf(result) ?? (isError ? "failed" : "done"));
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
      {part.messages !== undefined && part.messages.length > 0 && (
        <SubAgent stored={part.messages} name={part.toolName} />
      )}
      {question && <OpenQuestion question={question} />}
    </>
  );
}
