/** Where the user writes. A run can be stopped, and the server queues what is sent while it goes on. */
import { AttachmentPrimitive, AuiIf, ComposerPrimitive } from "@assistant-ui/react";
import { AttachIcon, CloseIcon, SendIcon, StopIcon } from "../icons";

/** A file that goes with the message, as soon as it is uploaded. */
function Attachment() {
  return (
    <AttachmentPrimitive.Root className="attachment" data-testid="attachment">
      <AttachmentPrimitive.Name />
      <AttachmentPrimitive.Remove className="icon-button" aria-label="Remove the file">
        <CloseIcon />
      </AttachmentPrimitive.Remove>
    </AttachmentPrimitive.Root>
  );
}

export function Composer() {
  return (
    <ComposerPrimitive.Root className="composer">
      <AuiIf condition={(s) => s.composer.attachments.length > 0}>
        <div className="attachments">
          <ComposerPrimitive.Attachments>{() => <Attachment />}</ComposerPrimitive.Attachments>
        </div>
      </AuiIf>
      <ComposerPrimitive.AddAttachment className="icon-button attach" aria-label="Attach a file" title="Attach a file" data-testid="composer-attach">
        <AttachIcon />
      </ComposerPrimitive.AddAttachment>
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
        <ComposerPrimitive.Cancel className="round-button stop" aria-label="Stop the run" title="Stop the run" data-testid="composer-stop">
          <StopIcon />
        </ComposerPrimitive.Cancel>
      </AuiIf>
      <AuiIf condition={(s) => !s.thread.isRunning || s.composer.canSend}>
        <ComposerPrimitive.Send className="round-button" aria-label="Send" data-testid="composer-send">
          <SendIcon />
        </ComposerPrimitive.Send>
      </AuiIf>
    </ComposerPrimitive.Root>
  );
}
