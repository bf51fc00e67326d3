/** Where the user writes. While a run goes on, the send button is a stop button. */
import { AuiIf, ComposerPrimitive, useAui } from "@assistant-ui/react";
import { useEffect } from "react";
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
      />
      <AuiIf condition={(s) => s.thread.isRunning}>
        <ComposerPrimitive.Cancel className="round-button stop" aria-label="Stop the run" data-testid="composer-stop">
          <StopIcon />
        </ComposerPrimitive.Cancel>
      </AuiIf>
      <AuiIf condition={(s) => !s.thread.isRunning}>
        <ComposerPrimitive.Send className="round-button" aria-label="Send" data-testid="composer-send">
          <SendIcon />
        </ComposerPrimitive.Send>
      </AuiIf>
    </ComposerPrimitive.Root>
  );
}
