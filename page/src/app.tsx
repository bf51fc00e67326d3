/** The whole page: threads, the chat, what the server does, and the slider over its history. */
import { Activity, useEffect, type ComponentType } from "react";
import { Session } from "./agent/session";
import { useSignal } from "./agent/signal";
import { inAddress } from "./agent/thread";
import { Chat } from "./chat/chat";
import { ChatIcon, ClientsIcon, CommandsIcon, OperationsIcon, RunsIcon, StateIcon } from "./icons";
import { useMoment, useRunChanges } from "./log/log";
import { Clients } from "./panels/clients";
import { Commands } from "./panels/commands";
import { Header, THREADS_TOGGLE } from "./panels/header";
import { Operations } from "./panels/operations";
import { Overview } from "./panels/overview";
import { PastBanner } from "./panels/past-banner";
import { PastChat } from "./panels/past-chat";
import { Runs } from "./panels/runs";
import { useScreen } from "./panels/screen";
import { StateView } from "./panels/state-view";
import { panelId, tabId, Tabs, type Tab } from "./panels/tabs";
import { ThreadList } from "./panels/thread-list";
import { Timeline } from "./panels/timeline";
import { followThreads, readThreads } from "./server/threads";
import { threadsOpen, view, type View } from "./panels/views";

const CHAT: Tab<View> = { name: "chat", label: "Chat", Icon: ChatIcon };

const INSPECTOR: readonly (Tab<View> & { readonly Content: ComponentType })[] = [
  { name: "state", label: "State", Icon: StateIcon, Content: StateView },
  { name: "operations", label: "Operations", Icon: OperationsIcon, Content: Operations },
  { name: "runs", label: "Runs", Icon: RunsIcon, Content: Runs },
  { name: "commands", label: "Commands", Icon: CommandsIcon, Content: Commands },
  { name: "clients", label: "Clients", Icon: ClientsIcon, Content: Clients },
];

/** Read the list of threads: the header needs it too, where the list is closed. */
const useThreads = (): void => {
  const changes = useRunChanges();
  useEffect(followThreads, []);
  useEffect(() => void (changes !== null && inAddress() && readThreads()), [changes]);
};

function Layout() {
  useThreads();
  const screen = useScreen();
  const open = useSignal(threadsOpen) ?? screen === "wide";
  const chosen = useSignal(view);
  const moment = useMoment();
  const phone = screen === "phone";
  const selected: View = chosen === "chat" && !phone ? "state" : chosen;
  useEffect(() => {
    if (!open || screen === "wide") return;
    const close = ({ key }: KeyboardEvent): void => {
      if (key !== "Escape") return;
      threadsOpen.set(null);
      document.getElementById(THREADS_TOGGLE)?.focus();
    };
    addEventListener("keydown", close);
    return () => removeEventListener("keydown", close);
  }, [open, screen]);
  const isCovered = open && screen !== "wide";
  const isTab = phone ? { role: "tabpanel", id: panelId("chat"), "aria-labelledby": tabId("chat") } : {};
  return (
    <div className="page" data-past={moment ? "" : undefined} data-threads={open ? "open" : undefined}>
      <Header />
      <PastBanner />
      <main className="columns">
        {open && (
          <>
            {screen !== "wide" && (
              <button
                type="button"
                className="scrim"
                aria-label="Close the list of threads"
                onClick={() => threadsOpen.set(null)}
              />
            )}
            <ThreadList />
          </>
        )}
        <div className="middle" hidden={phone && selected !== "chat"} inert={isCovered} {...isTab}>
          <Overview />
          <div className="live" hidden={moment !== null}>
            <Chat />
          </div>
          {moment && <PastChat moment={moment} />}
        </div>
        <aside className="inspector" aria-label="Inspector" inert={isCovered}>
          <Tabs
            label={phone ? "Views" : "Inspector"}
            tabs={phone ? [CHAT, ...INSPECTOR] : INSPECTOR}
            selected={selected}
            onSelect={(name) => view.set(name)}
          />
          {INSPECTOR.map(({ name, Content }) => (
            <div
              key={name}
              className="view"
              role="tabpanel"
              id={panelId(name)}
              aria-labelledby={tabId(name)}
              hidden={name !== selected}
            >
              <Activity mode={name === selected ? "visible" : "hidden"}>
                <Content />
              </Activity>
            </div>
          ))}
        </aside>
      </main>
      <Timeline />
    </div>
  );
}

export function App() {
  return (
    <Session>
      <Layout />
    </Session>
  );
}
