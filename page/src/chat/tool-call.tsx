/** A call of one of the agent's own tools: its name, and on demand what went in and came out. */
import type { ToolCallMessagePart } from "@assistant-ui/react";
import { ChevronIcon } from "../icons";

const pretty = (value: unknown): string => JSON.stringify(value, null, 2);

export function ToolCall({ part }: { part: ToolCallMessagePart }) {
  const status = part.result === undefined ? "running" : part.isError ? "failed" : "done";
  return (
    <details className="tool-call" data-testid="tool-call" data-status={status}>
      <summary>
        <ChevronIcon />
        <code>{part.toolName}</code> <span className="tool-status">{status}</span>
      </summary>
      <pre>{part.argsText || pretty(part.args)}</pre>
      {part.result !== undefined && <pre>{pretty(part.result)}</pre>}
    </details>
  );
}
