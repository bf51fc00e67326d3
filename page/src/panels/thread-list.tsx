/** The threads of the server: search, status, delete. */
import { useId, useRef, useState, type RefObject } from "react";
import { useSignal } from "../agent/signal";
import { threadId } from "../agent/thread";
import { PlusIcon, SearchIcon, TrashIcon } from "../icons";
import { pageWith } from "../server/address";
import { textOf, unloaded } from "../server/requests";
import { deleteThread, listed, type Summary } from "../server/threads";
import { useShownState } from "../log/shown";
import { useScreen } from "./screen";
import { ago } from "./times";

const STATUS_NAMES: Readonly<Record<string, string>> = {
  queued: "queued",
  running: "running",
  waiting: "waiting for you",
  failed: "failed",
  cancelled: "stopped",
  interrupted: "interrupted",
};

const titleOf = ({ title, remoteId }: Summary): string => title || remoteId;

const matches = (summary: Summary, search: string): boolean =>
  `${titleOf(summary)}\n${summary.remoteId}`.toLowerCase().includes(search.trim().toLowerCase());

/** A thread that may be deleted. */
type Doomed = { readonly id: string; readonly name: string };

/** Asks before a thread is deleted; a dialog keeps the focus until it is answered. */
function Confirm({ of, dialog, onDone }: {
  readonly of: Doomed | null;
  readonly dialog: RefObject<HTMLDialogElement | null>;
  readonly onDone: () => void;
}) {
  const id = useId();
  const [problem, setProblem] = useState<string | null>(null);
  const confirm = async (): Promise<void> => {
    if (of === null) return;
    try {
      await deleteThread(of.id);
      setProblem(null);
      dialog.current?.close();
      if (of.id === threadId) location.assign(pageWith(null));
    } catch (error) {
      setProblem(textOf(error));
    }
  };
  return (
    <dialog ref={dialog} className="dialog" aria-labelledby={id} onClose={onDone} data-testid="delete-dialog">
      <h2 id={id}>Delete this thread?</h2>
      <p>
        <strong>{of?.name}</strong> and everything in it will be gone: messages, state, history and files.
      </p>
      {problem !== null && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      <div className="dialog-actions">
        <button type="button" className="button quiet" autoFocus onClick={() => dialog.current?.close()}>
          Keep it
        </button>
        <button type="button" className="button danger" data-testid="delete-confirm" onClick={() => void confirm()}>
          Delete
        </button>
      </div>
    </dialog>
  );
}

function Row({ summary, onDelete }: { readonly summary: Summary; readonly onDelete: (name: string) => void }) {
  const own = summary.remoteId === threadId;
  const title = useShownState((state) => (own ? state?.title : undefined));
  const status = summary.run?.status;
  const name = title || titleOf(summary);
  return (
    <li data-testid="thread" data-thread={summary.remoteId} data-status={status}>
      <a href={pageWith(summary.remoteId)} aria-current={own ? "page" : undefined}>
        <span className="thread-title">{name}</span>
        <span className="thread-note">
          {status !== undefined && STATUS_NAMES[status] !== undefined && (
            <span className="status-word" data-status={status}>
              {STATUS_NAMES[status]}
            </span>
          )}
          <time dateTime={summary.lastMessageAt}>{ago(Date.parse(summary.lastMessageAt))}</time>
        </span>
      </a>
      <button type="button" className="icon-button" aria-label={`Delete ${name}`} title="Delete" onClick={() => onDelete(name)}>
        <TrashIcon />
      </button>
    </li>
  );
}

export function ThreadList() {
  const id = useId();
  const screen = useScreen();
  const { threads, problem } = useSignal(listed);
  const [search, setSearch] = useState("");
  const [deleting, setDeleting] = useState<Doomed | null>(null);
  const dialog = useRef<HTMLDialogElement>(null);
  const isUnloaded = useSignal(unloaded) !== null; // which is said beside the composer
  const found = threads?.filter((summary) => matches(summary, search));
  return (
    <nav className="threads" aria-labelledby={id} data-testid="threads">
      <div className="threads-head">
        <h2 id={id}>Threads</h2>
        <a className="button quiet small" href={pageWith(null)} data-testid="new-thread">
          <PlusIcon />
          New
        </a>
      </div>
      <label className="search">
        <SearchIcon />
        <span className="visually-hidden">Search threads</span>
        <input
          type="search"
          autoFocus={screen !== "wide"}
          className="input"
          placeholder="Search"
          value={search}
          data-testid="thread-search"
          onChange={({ target }) => setSearch(target.value)}
        />
      </label>
      {problem !== null && !isUnloaded && <p className="empty">The list is not available: {problem}</p>}
      {problem === null && found?.length === 0 && (
        <p className="empty">{search ? "No thread has that in its title." : "Threads appear here with their first message."}</p>
      )}
      <ul role="list" className="thread-list">
        {found?.map((summary) => (
          <Row
            key={summary.remoteId}
            summary={summary}
            onDelete={(name) => {
              setDeleting({ id: summary.remoteId, name });
              dialog.current?.showModal();
            }}
          />
        ))}
      </ul>
      <Confirm of={deleting} dialog={dialog} onDone={() => setDeleting(null)} />
    </nav>
  );
}
