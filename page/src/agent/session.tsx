/** The page's one thread, on the hook that any page would use. */
import { AssistantRuntimeProvider } from "@assistant-ui/react";
import { useStatecast, type Statecast } from "@statecast/react";
import { createContext, useContext, useEffect, useState, type ReactNode } from "react";
import { take } from "../log/log";
import { server } from "../server/address";
import { loadCommands } from "./declared";
import { useFailures } from "./failure";
import { publish } from "./following";
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

const useHasBranches = (): boolean => {
  const [has, setHas] = useState(false);
  useEffect(() => {
    loadCommands().then(
      (commands) => setHas(commands.some(({ type }) => type === SHOW_BRANCH)),
      () => {}, // the panel of the commands says so
    );
  }, []);
  return has;
};

export function Session({ children }: { readonly children: ReactNode }) {
  const session = useStatecast<DemoState, CustomCommand>({
    url: server,
    threadId,
    isNew: !reopened,
    urlParam: "thread",
    attachments: true,
    branchCommand: useHasBranches() ? SHOW_BRANCH : undefined,
    onFrame: take,
  });
  useEffect(() => publish(session));
  useFailures(session);
  return (
    <Context value={session}>
      <AssistantRuntimeProvider runtime={session.runtime}>{children}</AssistantRuntimeProvider>
    </Context>
  );
}
