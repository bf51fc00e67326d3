/** A message of the agent: a sign of life until its first part comes, and how it ended where that was not well. */
import { ActionBarPrimitive, AuiIf, MessagePrimitive, useAuiState } from "@assistant-ui/react";
import { useSession } from "../agent/session";
import { CheckIcon, CopyIcon, RetryIcon } from "../icons";
import { Branches } from "./branches";
import { useIsFree } from "./free";
import { Part } from "./part";

const ENDED: Readonly<Record<string, string>> = {
  cancelled: "Stopped",
  error: "Failed",
  other: "Interrupted",
};

/** An answer that its run did not finish, and the offer to try again; the reason is said beside the composer. */
function Unfinished() {
  const { retry, isRunning } = useSession();
  const isLast = useAuiState((s) => s.message.isLast);
  const status = useAuiState((s) => s.message.status);
  if (status?.type !== "incomplete" || ENDED[status.reason] === undefined) return null;
  return (
    <p className="unfinished" data-testid="unfinished" data-reason={status.reason}>
      {ENDED[status.reason]}
      {isLast && !isRunning && (
        <button type="button" className="button quiet small" data-testid="message-retry" onClick={() => void retry()}>
          Retry
        </button>
      )}
    </p>
  );
}

export function AssistantMessage() {
  const isFree = useIsFree();
  return (
    <MessagePrimitive.Root className="message assistant" data-testid="message" data-role="assistant">
      <span className="visually-hidden">The agent said:</span>
      <MessagePrimitive.Parts>{({ part }) => <Part part={part} />}</MessagePrimitive.Parts>
      <AuiIf condition={(s) => s.message.parts.length === 0 && s.message.status?.type === "running"}>
        <span className="waiting" role="status" aria-label="The agent is at work">
          <i />
          <i />
          <i />
        </span>
      </AuiIf>
      <Unfinished />
      <AuiIf condition={(s) => s.message.status?.type !== "running"}>
        <ActionBarPrimitive.Root className="message-actions under">
          <ActionBarPrimitive.Copy className="icon-button" aria-label="Copy" title="Copy" data-testid="message-copy">
            <AuiIf condition={(s) => s.message.isCopied}>
              <CheckIcon />
            </AuiIf>
            <AuiIf condition={(s) => !s.message.isCopied}>
              <CopyIcon />
            </AuiIf>
          </ActionBarPrimitive.Copy>
          {isFree && (
            <ActionBarPrimitive.Reload
              className="icon-button"
              aria-label="Answer again"
              title="Answer again"
              data-testid="message-reload"
            >
              <RetryIcon />
            </ActionBarPrimitive.Reload>
          )}
          <Branches />
        </ActionBarPrimitive.Root>
      </AuiIf>
    </MessagePrimitive.Root>
  );
}
