/** The top of the page: what the thread is called, whether a run goes on, and where the server is. */
import { useAuiState } from "@assistant-ui/react";
import { useEffect } from "react";
import { failure } from "../agent/failure";
import { useSignal } from "../agent/signal";
import { threadId } from "../agent/thread";
import { MarkIcon, MenuIcon } from "../icons";
import { useShownState } from "../log/shown";
import { listed } from "../server/threads";
import { useScreen } from "./screen";
import { ServerField } from "./server-field";
import { ThemeSwitch } from "./theme";
import { ThreadMenu } from "./thread-menu";
import { threadsOpen } from "./views";

export const THREADS_TOGGLE = "threads-toggle";

function RunStatus() {
  const running = useAuiState((s) => s.thread.isRunning);
  const asking = useAuiState((s) => {
    const last = s.thread.messages.at(-1);
    return last?.role === "assistant" && last.status.type === "requires-action";
  });
  const problem = useSignal(failure)?.kind;
  const [status, text] =
    problem === "unloaded"
      ? ["failed", "Code does not load"]
      : running
        ? ["running", "Running"]
        : problem === "failed" || problem === "lost"
          ? ["failed", problem === "lost" ? "Disconnected" : "Failed"]
          : asking
            ? ["waiting", "Waiting for you"]
            : ["idle", "Ready"];
  return (
    <span className="run-status" role="status" data-testid="run-status" data-status={status}>
      {text}
    </span>
  );
}

/** Return the title that the agent has given the thread in its state, else that of the list. */
const useTitle = (): string => {
  const own: unknown = useShownState((state) => state?.title);
  const { threads } = useSignal(listed);
  if (typeof own === "string" && own !== "") return own;
  return threads?.find(({ remoteId }) => remoteId === threadId)?.title || "New thread";
};

export function Header() {
  const title = useTitle();
  const wide = useScreen() === "wide";
  const open = useSignal(threadsOpen) ?? wide;
  useEffect(() => {
    document.title = `${title} · Statecast`;
  }, [title]);
  return (
    <header className="header">
      <button
        type="button"
        className="icon-button"
        id={THREADS_TOGGLE}
        aria-label="Threads"
        title="Threads"
        aria-expanded={open}
        data-testid="threads-toggle"
        onClick={() => threadsOpen.set(open === wide ? !open : null)}
      >
        <MenuIcon />
      </button>
      <span className="brand">
        <MarkIcon />
        <span>Statecast</span>
      </span>
      <h1 data-testid="state-title">{title}</h1>
      <RunStatus />
      <ServerField />
      <ThemeSwitch />
      <ThreadMenu />
    </header>
  );
}
