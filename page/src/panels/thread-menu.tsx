/** What can be done with the whole thread: export and import. */
import { useRef, useState, type ChangeEvent } from "react";
import { useSignal } from "../agent/signal";
import { threadId } from "../agent/thread";
import { MoreIcon } from "../icons";
import { extent } from "../log/log";
import { pageWith } from "../server/address";
import { get, post, textOf } from "../server/requests";
import { Popover } from "./popover";

const save = (name: string, document_: unknown): void => {
  const url = URL.createObjectURL(new Blob([JSON.stringify(document_, null, 2)], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
};

export function ThreadMenu() {
  const file = useRef<HTMLInputElement>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const empty = useSignal(extent).count === 0;
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    setProblem(null);
    try {
      await work();
    } catch (error) {
      setProblem(error instanceof SyntaxError ? "This file is not JSON." : textOf(error));
    }
  };
  const exported = (): Promise<void> =>
    attempt(async () =>
      save(`thread-${threadId}.json`, await get(`threads/${encodeURIComponent(threadId)}/export`)),
    );
  const imported = ({ target }: ChangeEvent<HTMLInputElement>): Promise<void> =>
    attempt(async () => {
      const [chosen] = target.files ?? [];
      target.value = "";
      if (!chosen) return;
      const { threadId: _, ...document_ } = JSON.parse(await chosen.text()) as Readonly<Record<string, unknown>>;
      // Without its id, it becomes a thread beside the one that it was.
      const { threadId: made } = await post<{ threadId: string }>("threads/import", document_);
      location.assign(pageWith(made));
    });
  return (
    <Popover className="icon-button" label={<MoreIcon />} title="Export and import" testId="thread-menu">
      <div className="menu">
        <button type="button" data-testid="export" disabled={empty} onClick={() => void exported()}>
          Export this thread as JSON
        </button>
        <button type="button" data-testid="import" onClick={() => file.current?.click()}>
          Import a thread…
        </button>
        <input
          ref={file}
          type="file"
          accept="application/json,.json"
          hidden
          aria-label="File of a thread"
          data-testid="import-file"
          onChange={(event) => void imported(event)}
        />
        {problem !== null && (
          <p className="problem" role="alert">
            {problem}
          </p>
        )}
      </div>
    </Popover>
  );
}
