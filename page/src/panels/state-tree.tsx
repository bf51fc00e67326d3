/** The live state as a tree. What an operation touched lights up for a moment. */
import { memo, useState } from "react";
import { child, useChange, useChangeAmong, type Pointer } from "../agent/changes";
import { preview } from "../agent/preview";
import { ChevronIcon } from "../icons";

/** Characters of a value that a row shows. */
const VALUE_LENGTH = 140;
/** Children that a branch shows at most; of longer ones, the newest. */
const CHILDREN = 100;
/** Deeper branches stay closed until they are opened. */
const OPEN_DEPTH = 6;
/** Items of a list, counted from its end, that open by themselves. */
const OPEN_ITEMS = 2;
/** Items that a list shows singly. Of longer ones, those before the last few are folded into one row. */
const SINGLE_ITEMS = 5;
const LAST_FEW = 3;

type Branch = Readonly<Record<string, unknown>>;

const isBranch = (value: unknown): value is Branch =>
  typeof value === "object" && value !== null && Object.keys(value).length > 0;

/** Whether a branch has no branches of its own: few lines to show. */
const isFlat = (value: unknown): boolean => isBranch(value) && !Object.values(value).some(isBranch);

const sizeOf = (value: Branch): string => {
  const size = Object.keys(value).length;
  return Array.isArray(value) ? `[${size}]` : `{${size}}`;
};

function Value({ value }: { value: unknown }) {
  const kind = value === null ? "null" : typeof value;
  return (
    <span className={`value ${kind}`}>
      {preview(value, VALUE_LENGTH)}
      {typeof value === "string" && value.length > VALUE_LENGTH && (
        <small> {value.length.toLocaleString("en")} characters</small>
      )}
    </span>
  );
}

type NodeProps = {
  readonly name: string;
  readonly value: unknown;
  readonly pointer: Pointer;
  readonly depth: number;
  /** Whether the branch opens until the reader decides otherwise. */
  readonly opens: boolean;
};

type ChildrenProps = { readonly value: Branch; readonly pointer: Pointer; readonly depth: number };

/** The row that stands for the earlier items of a list. */
function Earlier({ keys, pointer, depth, open, toggle }: Omit<ChildrenProps, "value"> & {
  readonly keys: readonly string[];
  readonly open: boolean;
  readonly toggle: () => void;
}) {
  const changed = useChangeAmong(open ? [] : keys.map((key) => child(pointer, key)));
  return (
    <li>
      <button
        type="button"
        className="row"
        data-changed={changed ? "true" : undefined}
        data-change={changed ? "itself" : undefined}
        style={{ "--depth": depth + 1 } as React.CSSProperties}
        aria-expanded={open}
        onClick={toggle}
      >
        <ChevronIcon />
        <span className="size">{keys.length.toLocaleString("en")} earlier</span>
      </button>
    </li>
  );
}

const Children = ({ value, pointer, depth }: ChildrenProps) => {
  const [unfolded, unfold] = useState(false);
  const keys = Object.keys(value);
  const list = Array.isArray(value);
  const earlier = list && keys.length > SINGLE_ITEMS ? keys.slice(0, -LAST_FEW) : [];
  const shown = (unfolded ? keys : keys.slice(earlier.length)).slice(-CHILDREN);
  const opens = (key: string): boolean => {
    if (depth + 1 >= OPEN_DEPTH) return false;
    return !list || Number(key) >= keys.length - OPEN_ITEMS || (earlier.length === 0 && isFlat(value[key]));
  };
  return (
    <ul role="list">
      {earlier.length > 0 && (
        <Earlier keys={earlier} pointer={pointer} depth={depth} open={unfolded} toggle={() => unfold(!unfolded)} />
      )}
      {shown.length < keys.length - (unfolded ? 0 : earlier.length) && (
        <li className="more">{(keys.length - shown.length).toLocaleString("en")} not shown</li>
      )}
      {shown.map((key) => (
        <Node
          key={key}
          name={key}
          value={value[key]}
          pointer={child(pointer, key)}
          depth={depth + 1}
          opens={opens(key)}
        />
      ))}
    </ul>
  );
};

const Node = memo(function Node({ name, value, pointer, depth, opens }: NodeProps) {
  const [chosen, choose] = useState<boolean | null>(null);
  const branch = isBranch(value);
  const open = branch && (chosen ?? opens);
  const change = useChange(pointer, open);
  const row = {
    className: "row",
    "data-path": pointer.slice(1),
    "data-changed": change && "true",
    "data-change": change,
    style: { "--depth": depth } as React.CSSProperties,
  };
  if (!branch) {
    return (
      <li>
        <div {...row}>
          <span className="key">{name}</span>
          <Value value={value} />
        </div>
      </li>
    );
  }
  return (
    <li>
      <button type="button" {...row} aria-expanded={open} onClick={() => choose(!open)}>
        <ChevronIcon />
        <span className="key">{name}</span>
        <span className="size">{sizeOf(value)}</span>
        {!open && <Value value={value} />}
      </button>
      {open && <Children value={value} pointer={pointer} depth={depth} />}
    </li>
  );
});

export function StateTree({ state }: { readonly state: unknown }) {
  return (
    <ul role="list" className="tree" data-testid="state-tree">
      <Node name="state" value={state ?? null} pointer="" depth={0} opens />
    </ul>
  );
}
