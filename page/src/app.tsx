/** The whole page: the chat, and beside it what the server does. */
import { AssistantRuntimeProvider, useAui, useAuiState } from "@assistant-ui/react";
import { useEffect, type ReactNode } from "react";
import { behind, connected, follow } from "./agent/following";
import { useAgentRuntime } from "./agent/runtime";
import { useSignal } from "./agent/signal";
import { reopened } from "./agent/thread";
import { Chat } from "./chat/chat";
import { Commands } from "./panels/commands";
import { Header } from "./panels/header";
import { Operations } from "./panels/operations";
import { StateTree } from "./panels/state-tree";

/**
 * Hold the page back for the moment until the runtime stands: before it does, there is no state to read.
 *
 * Whenever the page is behind and at rest, ask where the thread stands, and read what still comes.
 */
function Connected({ children }: { children: ReactNode }) {
  const aui = useAui();
  const ready = useAuiState((s) => s.thread.extras !== undefined);
  const running = useAuiState((s) => s.thread.isRunning);
  const late = useSignal(behind);
  const reachable = useSignal(connected);
  useEffect(() => {
    if (reopened) follow();
  }, []);
  useEffect(() => {
    if (ready && !running && late && reachable) aui.thread.resumeRun({ parentId: null });
  }, [aui, ready, running, late, reachable]);
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
