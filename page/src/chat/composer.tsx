/** Where the user writes. A run can be stopped, and what is sent while it goes on waits for its end. */
import { AuiIf, ComposerPrimitive, useAui } from "@assistant-ui/react";
import { useEffect, type KeyboardEvent } from "react";
import { unsent } from "../agent/failure";
import { useSignal } from "../agent/signal";
import { SendIcon, StopIcon } from "../icons";

/** A message that was never delivered goes back where it was written, unless something new stands there. */
function TakeBack() {
  const aui = useAui();
  const text = useSignal(unsent);
  useEffect(() => {
    if (text === null) return;
    unsent.set(null);
    if (!aui.composer.getState().text) aui.composer.setText(text);
  }, [aui, text]);
  return null;
}

export function Composer() {
  const aui = useAui();
  // The client queues by itself, but its composer keeps quiet while a run goes on.
  const queue = (): void => {
    if (aui.composer.getState().canSend) void aui.composer.send();
  };
  const queueOnEnter = (event: KeyboardEvent<HTMLTextAreaElement>): void => {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    if (!aui.thread.getState().isRunning) return;
    event.preventDefault();
    queue();
  };
  return (
    <ComposerPrimitive.Root className="composer">
      <TakeBack />
      <ComposerPrimitive.Input
        className="composer-input"
        placeholder="Write a message"
        aria-label="Message"
        data-testid="composer-input"
        rows={1}
        maxRows={8}
        autoFocus
        onKeyDown={queueOnEnter}
      />
      <AuiIf condition={(s) => s.thread.isRunning}>
        <ComposerPrimitive.Cancel className="round-button stop" aria-label="Stop the run" title="Stop the run" data-testid="composer-stop">
          <StopIcon />
        </ComposerPrimitive.Cancel>
      </AuiIf>
      <AuiIf condition={(s) => s.thread.isRunning && s.composer.canSend}>
        <button
          type="button"
          className="round-button"
          aria-label="Send when the run has ended"
          title="Send when the run has ended"
          data-testid="composer-queue"
          onClick={queue}
        >
          <SendIcon />
        </button>
      </AuiIf>
      <AuiIf condition={(s) => !s.thread.isRunning}>
        <ComposerPrimitive.Send className="round-button" aria-label="Send" data-testid="composer-send">
          <SendIcon />
        </ComposerPrimitive.Send>
      </AuiIf>
    </ComposerPrimitive.Root>
  );
}
