/** A message of the user, and its composer while it is being edited. */
import { ActionBarPrimitive, AuiIf, ComposerPrimitive, MessagePrimitive, useAuiState } from "@assistant-ui/react";
import { useEffect, useRef } from "react";
import { EditIcon } from "../icons";
import { Branches } from "./branches";
import { useIsFree } from "./free";
import { Part } from "./part";

const composer = (): HTMLElement | null => document.querySelector(".composer-input");

function EditComposer() {
  return (
    <ComposerPrimitive.Root className="edit">
      <ComposerPrimitive.Input className="edit-input" aria-label="Edit message" data-testid="edit-input" autoFocus />
      <div className="edit-actions">
        <ComposerPrimitive.Cancel className="button quiet" data-testid="edit-cancel">
          Cancel
        </ComposerPrimitive.Cancel>
        <ComposerPrimitive.Send className="button" data-testid="edit-send">
          Send
        </ComposerPrimitive.Send>
      </div>
    </ComposerPrimitive.Root>
  );
}

export function UserMessage() {
  const editing = useAuiState((s) => s.message.composer.isEditing);
  const pending = useAuiState((s) => s.message.metadata.isOptimistic === true);
  const queued = useAuiState((s) => s.message.metadata.custom["queued"] === true);
  const isFree = useIsFree();
  const root = useRef<HTMLDivElement>(null);
  const wasEditing = useRef(false);
  useEffect(() => {
    // The keyboard goes on where it was: the field that had the focus is gone.
    const isLost = document.activeElement === document.body;
    if (wasEditing.current && !editing && isLost) (root.current?.querySelector("button") ?? composer())?.focus();
    wasEditing.current = editing;
  }, [editing]);
  return (
    <MessagePrimitive.Root
      ref={root}
      className="message user"
      data-testid="message"
      data-role="user"
      data-pending={pending || undefined}
      data-queued={queued || undefined}
    >
      <span className="visually-hidden">You said:</span>
      {editing ? (
        <EditComposer />
      ) : (
        <>
          <div className="said">
            <div className="bubble">
              <MessagePrimitive.Parts>{({ part }) => <Part part={part} />}</MessagePrimitive.Parts>
            </div>
            {queued && <span className="note">Queued until the run ends</span>}
          </div>
          <AuiIf condition={(s) => !s.thread.isRunning}>
            <ActionBarPrimitive.Root className="message-actions">
              {isFree && (
                <ActionBarPrimitive.Edit
                  className="icon-button"
                  aria-label="Edit message"
                  title="Edit message"
                  data-testid="message-edit"
                >
                  <EditIcon />
                </ActionBarPrimitive.Edit>
              )}
              <Branches />
            </ActionBarPrimitive.Root>
          </AuiIf>
        </>
      )}
    </MessagePrimitive.Root>
  );
}
