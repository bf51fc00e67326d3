/** The whole page: the chat, and beside it what the server does. */
import { AssistantRuntimeProvider, useAui, useAuiState } from "@assistant-ui/react";
import { useEffect, type ReactNode } from "react";
import { useAgentRuntime } from "./agent/runtime";
import { reopened } from "./agent/thread";
import { Chat } from "./chat/chat";
import { Commands } from "./panels/commands";
import { Header } from "./panels/header";
import { Operations } from "./panels/operations";
import { StateTree } from "./panels/state-tree";

/**
 * Hold the page back for the moment until the runtime stands: before it does, there is no state to read.
 *
 * A thread that the address names is then asked for, once: where it stands, and what still comes.
 */
function Connected({ children }: { children: ReactNode }) {
  const aui = useAui();
  const ready = useAuiState((s) => s.thread.extras !== undefined);
  useEffect(() => {
    if (ready && reopened) aui.thread.resumeRun({ parentId: null });
  }, [aui, ready]);
  return ready ? children : null;
}

export function App() {
  const runtime = useAgentRuntime();
  return (
    <AssistantRuntimeProvider runtime={runtime}>
      <Connected>
        <div className="page">
          <Header />
          <main className="columns">
            <Chat />
            <div className="side">
              <StateTree />
              <Operations />
              <Commands />
            </div>
          </main>
        </div>
      </Connected>
    </AssistantRuntimeProvider>
  );
}
