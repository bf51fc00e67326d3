/** The operations by what they changed; each group opens, and each operation leads to its revision. */
import { useMemo, useState } from "react";
import { preview } from "../agent/preview";
import { useSignal } from "../agent/signal";
import { ChevronIcon } from "../icons";
import { Groups, type Group, type Placed } from "../log/groups";
import { extent, recording, show, shown } from "../log/log";
import { useShownState } from "../log/shown";
import { Panel } from "./panel";
import { useEnd } from "./scroll";
import { useSizeOf } from "./size";
import { bytes, count } from "./times";

/** Characters of a value that a row shows. */
const VALUE_LENGTH = 96;
/** Groups that are drawn, the latest. */
const GROUPS = 200;
/** Operations of an open group that are drawn, the latest. */
const OPERATIONS = 200;

const summaryOf = ({ type, path, operations, words }: Group): string => {
  if (type === "append-text") return `+${count(words, "word")}`;
  if (path.endsWith("…")) return operations.length === 1 ? preview(operations[0]!.value, VALUE_LENGTH) : count(operations.length, "item");
  return preview(operations.at(-1)!.value, VALUE_LENGTH);
};

function Row({ operation: { revision, path, value } }: { readonly operation: Placed }) {
  const at = useSignal(shown);
  return (
    <li data-testid="operation">
      <button
        type="button"
        title={`Show revision ${revision}`}
        aria-current={at === revision ? "true" : undefined}
        data-future={at !== null && revision > at ? "" : undefined}
        onClick={() => show(revision)}
      >
        <span className="number">{revision}</span>
        <span className="path">
          <bdi>{path || "(state)"}</bdi>
        </span>
        <span className="value">{preview(value, VALUE_LENGTH)}</span>
      </button>
    </li>
  );
}

function Rows({ group }: { readonly group: Group }) {
  const [open, setOpen] = useState(false);
  const at = useSignal(shown);
  const { type, path, operations } = group;
  const hidden = operations.length - OPERATIONS;
  return (
    <li
      data-testid="operation-group"
      data-type={type}
      data-future={at !== null && operations[0]!.revision > at ? "" : undefined}
    >
      <button type="button" className="group" aria-expanded={open} onClick={() => setOpen(!open)}>
        <ChevronIcon />
        <span className="type">{type}</span>
        <span className="path">
          <bdi>{path || "(state)"}</bdi>
        </span>
        <span className="value">{summaryOf(group)}</span>
        <span className="times">{operations.length > 1 && `×${operations.length.toLocaleString("en")}`}</span>
      </button>
      {open && (
        <ol role="list" className="operation-list">
          {hidden > 0 && <li className="more">{count(hidden, "earlier operation")} not shown</li>}
          {operations.slice(-OPERATIONS).map((operation, index) => (
            <Row key={hidden > 0 ? hidden + index : index} operation={operation} />
          ))}
        </ol>
      )}
    </li>
  );
}

function Sizes({ sent }: { readonly sent: number }) {
  const state: unknown = useShownState((whole) => whole);
  const size = useSizeOf(state);
  return (
    <dl className="sizes" data-testid="sizes">
      <div>
        <dt>Sent as operations</dt>
        <dd>{bytes(Math.round(sent))}</dd>
      </div>
      <div>
        <dt>Size of the state</dt>
        <dd>{size === null ? "…" : bytes(size)}</dd>
      </div>
    </dl>
  );
}

export function Operations() {
  const { count: entries } = useSignal(extent);
  const groups = useMemo(() => new Groups(), []);
  const all = useMemo(() => groups.of(recording.entries), [groups, entries, recording.entries[0]]);
  const body = useEnd<HTMLDivElement>(all);
  return (
    <Panel
      title="Operations"
      note={all.length === 0 ? "as they arrive" : count(groups.operations, "operation")}
      className="operations"
      head={<Sizes sent={groups.bytes} />}
      bodyRef={body.ref}
      onScroll={body.onScroll}
    >
      {all.length === 0 && <p className="empty">Each change of the state appears here as it arrives.</p>}
      <ol role="list" className="group-list" data-testid="operations">
        {all.slice(-GROUPS).map((group) => (
          <Rows key={group.key} group={group} />
        ))}
      </ol>
    </Panel>
  );
}
