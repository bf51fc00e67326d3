/** The page's one thread, on the hook that any page would use. */
import { AssistantRuntimeProvider } from "@assistant-ui/react";
import { useStatecast, type Statecast } from "@statecast/react";
import { createContext, useContext, useEffect, type ReactNode } from "react";
import { take } from "../log/log";
import { answering, loaded, readAgents, readAnswering, useAgent } from "../server/agents";
import { server } from "../server/address";
import { useFailures } from "./failure";
import { publish } from "./following";
import { useNaming } from "./naming";
import { recentIn } from "./recent";
import { useSignal } from "./signal";
import type { CustomCommand, DemoState } from "./state";
import { reopened, threadId } from "./thread";

type Session = Statecast<DemoState, CustomCommand>;

/** The command of agents that keep branches: which one is the conversation. */
const SHOW_BRANCH = "show-branch";

const Context = createContext<Session | null>(null);

/** Return what the hook has of the thread. */
export const useSession = (): Session => {
  const session = useContext(Context);
  if (session === null) throw new Error("expected to be within a Session");
  return session;
};


/** Read what the agent is at first, and whenever the connection is back: its server may be another process. */
const useAgents = (connection: string): void => {
  const isOpen = connection === "open";
  const isOneOfSeveral = (useSignal(loaded).agents?.length ?? 0) > 1;
  useEffect(() => void readAgents(), [isOpen]);
  useEffect(() => {
    if (reopened && isOneOfSeveral) readAnswering().catch(() => {}); // then the first one's commands are shown
  }, [isOneOfSeveral]);
};

export function Session({ children }: { readonly children: ReactNode }) {
  const hasBranches = SHOW_BRANCH in (useAgent()?.commands ?? {});
  const chosen = useSignal(answering) ?? undefined;
  const session = useStatecast<DemoState, CustomCommand>({
    url: server,
    threadId,
    isNew: !reopened,
    agent: chosen,
    urlParam: "thread",
    attachments: true,
    branchCommand: hasBranches ? SHOW_BRANCH : undefined,
    onFrame: take,
    messages: recentIn,
  });
  useEffect(() => publish(session));
  useAgents(session.connection);
  useFailures(session);
  useNaming();
  return (
    <Context value={session}>
      <AssistantRuntimeProvider runtime={session.runtime}>{children}</AssistantRuntimeProvider>
    </Context>
  );
}
