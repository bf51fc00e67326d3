/** The page: a conversation whose messages can be edited and answered again, and the branches that this makes. */
import {
  ActionBarPrimitive,
  AssistantRuntimeProvider,
  AuiIf,
  BranchPickerPrimitive,
  ComposerPrimitive,
  MessagePrimitive,
  ThreadPrimitive,
  useAui,
  useAuiState,
  type ToolCallMessagePart,
} from "@assistant-ui/react";
import { useThread, useThreadRuntime } from "./runtime";

function AskUser({ part }: { part: ToolCallMessagePart }) {
  const aui = useAui();
  if (part.result !== undefined) return <p className="answered">You chose {String(part.result)}.</p>;
  return (
    <p className="question">
      {String(part.args["question"])}{" "}
      {["tea", "coffee"].map((choice) => (
        <button key={choice} onClick={() => aui.part.addToolResult(choice)}>
          {choice}
        </button>
      ))}
    </p>
  );
}

function Branches() {
  return (
    <BranchPickerPrimitive.Root hideWhenSingleBranch className="branches">
      <BranchPickerPrimitive.Previous>‹</BranchPickerPrimitive.Previous>
      <BranchPickerPrimitive.Number /> / <BranchPickerPrimitive.Count />
      <BranchPickerPrimitive.Next>›</BranchPickerPrimitive.Next>
    </BranchPickerPrimitive.Root>
  );
}

function UserMessage() {
  const editing = useAuiState((s) => s.message.composer.isEditing);
  if (editing) {
    return (
      <ComposerPrimitive.Root className="message user edit">
        <ComposerPrimitive.Input />
        <ComposerPrimitive.Send>Save</ComposerPrimitive.Send>
        <ComposerPrimitive.Cancel>Leave</ComposerPrimitive.Cancel>
      </ComposerPrimitive.Root>
    );
  }
  return (
    <MessagePrimitive.Root className="message user">
      <MessagePrimitive.Parts />
      <div className="tools">
        <ActionBarPrimitive.Edit className="change">Edit</ActionBarPrimitive.Edit> <Branches />
      </div>
    </MessagePrimitive.Root>
  );
}

function AssistantMessage() {
  return (
    <MessagePrimitive.Root className="message assistant">
      <MessagePrimitive.Parts>
        {({ part }) => {
          if (part.type === "tool-call") return <AskUser part={part} />;
          return part.type === "text" ? <span>{part.text}</span> : null;
        }}
      </MessagePrimitive.Parts>
      <div className="tools">
        <ActionBarPrimitive.Reload className="again">Answer again</ActionBarPrimitive.Reload> <Branches />
      </div>
    </MessagePrimitive.Root>
  );
}

function Status() {
  const { connection, run } = useThread();
  return (
    <p id="status" data-connection={connection} data-run={run?.status}>
      {run?.error?.message} {connection === "connecting" && "The server is out of reach."}
    </p>
  );
}

export function App() {
  return (
    <AssistantRuntimeProvider runtime={useThreadRuntime()}>
      <ThreadPrimitive.Root>
        <ThreadPrimitive.Messages>
          {({ message }) => (message.role === "user" ? <UserMessage /> : <AssistantMessage />)}
        </ThreadPrimitive.Messages>
        <Status />
        <ComposerPrimitive.Root id="composer">
          <ComposerPrimitive.Input placeholder="Write a message" />
          <AuiIf condition={(s) => s.thread.isRunning}>
            <ComposerPrimitive.Cancel>Stop</ComposerPrimitive.Cancel>
          </AuiIf>
          <AuiIf condition={(s) => !s.thread.isRunning}>
            <ComposerPrimitive.Send>Send</ComposerPrimitive.Send>
          </AuiIf>
        </ComposerPrimitive.Root>
      </ThreadPrimitive.Root>
    </AssistantRuntimeProvider>
  );
}
