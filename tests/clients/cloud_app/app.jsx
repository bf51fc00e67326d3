// A page as applications have it: assistant-ui's local runtime on a cloud, its list of threads, and an adapter that asks
// `POST /text`. `?thread=` says when the adapter names the cloud's thread: `never`, `known` (when the runtime tells it,
// which it does not for the first message), or `always`.

import { useState } from "react";
import { createRoot } from "react-dom/client";
import {
  ActionBarPrimitive,
  AssistantCloud,
  AssistantRuntimeProvider,
  AttachmentPrimitive,
  BranchPickerPrimitive,
  ComposerPrimitive,
  MessagePrimitive,
  ThreadListItemPrimitive,
  ThreadListPrimitive,
  ThreadPrimitive,
  useAui,
  useAuiState,
  useLocalRuntime,
} from "@assistant-ui/react";

const query = new URLSearchParams(location.search);
const cloud = new AssistantCloud({ baseUrl: location.origin, anonymous: true });
const page = { initialize: async () => ({}) };

const adapter = {
  async *run({ messages, abortSignal, unstable_threadId }) {
    const headers = await cloud.runs.__internal_getAssistantOptions("").headers();
    const when = query.get("thread");
    const threadId = when === "always" ? (await page.initialize()).remoteId : when === "known" ? unstable_threadId : undefined;
    const response = await fetch("/text", {
      method: "POST",
      headers: { ...headers, "Content-Type": "application/json" },
      body: JSON.stringify({ messages, ...(threadId && { threadId }) }),
      signal: abortSignal,
    });
    if (!response.ok) throw new Error((await response.json()).error.message);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += value;
      yield { content: [{ type: "text", text }] };
    }
  },
};

const Rename = () => {
  const aui = useAui();
  const [title, setTitle] = useState("");
  return (
    <>
      <input className="title" value={title} onChange={(event) => setTitle(event.target.value)} />
      <button className="rename" onClick={() => aui.threadListItem.rename(title)}>
        Rename
      </button>
    </>
  );
};

const Item = () => (
  <ThreadListItemPrimitive.Root className="item">
    <ThreadListItemPrimitive.Trigger className="open">
      <ThreadListItemPrimitive.Title fallback="(new)" />
    </ThreadListItemPrimitive.Trigger>
    <Rename />
    <ThreadListItemPrimitive.Archive className="archive">Archive</ThreadListItemPrimitive.Archive>
    <ThreadListItemPrimitive.Unarchive className="unarchive">Unarchive</ThreadListItemPrimitive.Unarchive>
    <ThreadListItemPrimitive.Delete className="delete">Delete</ThreadListItemPrimitive.Delete>
  </ThreadListItemPrimitive.Root>
);

const Image = () => {
  const url = useAuiState((s) => s.attachment.content?.find((part) => part.type === "image")?.image);
  const status = useAuiState((s) => s.attachment.status.type);
  return (
    <AttachmentPrimitive.Root className="attachment" data-status={status}>
      <AttachmentPrimitive.Name />
      {url && <img src={url} alt="" />}
    </AttachmentPrimitive.Root>
  );
};

/** As it is: by default it appears letter by letter. */
const components = { Text: ({ text }) => <p>{text}</p> };

/** How many branches there are; the buttons have no text, so that a message's text is what was said. */
const Branches = () => {
  const branch = useAuiState((s) => `${s.message.branchNumber}/${s.message.branchCount}`);
  return (
    <BranchPickerPrimitive.Root className="branches" data-branch={branch}>
      <BranchPickerPrimitive.Previous className="previous" aria-label="Previous" />
    </BranchPickerPrimitive.Root>
  );
};

const UserMessage = () => (
  <MessagePrimitive.Root className="message" data-role="user">
    <MessagePrimitive.Attachments components={{ Attachment: Image }} />
    <MessagePrimitive.Parts components={components} />
    <ActionBarPrimitive.Edit className="edit" aria-label="Edit" />
    <Branches />
  </MessagePrimitive.Root>
);

const EditComposer = () => (
  <ComposerPrimitive.Root className="editing">
    <ComposerPrimitive.Input />
    <ComposerPrimitive.Send className="save">Save</ComposerPrimitive.Send>
  </ComposerPrimitive.Root>
);

const AssistantMessage = () => {
  const status = useAuiState((s) => s.message.status?.type);
  return (
    <MessagePrimitive.Root className="message" data-role="assistant" data-status={status}>
      <MessagePrimitive.Parts components={components} />
      <ActionBarPrimitive.Reload className="reload" aria-label="Again" />
      <Branches />
    </MessagePrimitive.Root>
  );
};

const Thread = () => {
  page.initialize = ((item) => () => item.initialize())(useAui().threadListItem);
  const running = useAuiState((s) => s.thread.isRunning);
  return (
    <ThreadPrimitive.Root id="thread" data-running={running}>
      <ThreadPrimitive.Messages components={{ UserMessage, AssistantMessage, EditComposer }} />
      <ComposerPrimitive.Root id="composer">
        <ComposerPrimitive.Attachments components={{ Attachment: Image }} />
        <ComposerPrimitive.AddAttachment id="attach">Attach</ComposerPrimitive.AddAttachment>
        <ComposerPrimitive.Input />
        <ComposerPrimitive.Send id="send">Send</ComposerPrimitive.Send>
      </ComposerPrimitive.Root>
    </ThreadPrimitive.Root>
  );
};

const App = () => (
  <AssistantRuntimeProvider runtime={useLocalRuntime(adapter, { cloud })}>
    <ThreadListPrimitive.Root>
      <ThreadListPrimitive.New id="new">New</ThreadListPrimitive.New>
      <div id="regular">
        <ThreadListPrimitive.Items components={{ ThreadListItem: Item }} />
      </div>
      <div id="archived">
        <ThreadListPrimitive.Items archived components={{ ThreadListItem: Item }} />
      </div>
    </ThreadListPrimitive.Root>
    <Thread />
  </AssistantRuntimeProvider>
);

createRoot(document.getElementById("root")).render(<App />);
