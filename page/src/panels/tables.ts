/** Lists of uniform rows in a state: what can be read as a table. */

type Scalar = string | number | boolean | null;
export type TableRow = Readonly<Record<string, Scalar>>;

export type Table = {
  /** Its place in the state. */
  readonly path: string;
  readonly columns: readonly string[];
  /** Columns that have numbers only. */
  readonly numeric: readonly string[];
  /** The column that names a row, if there is one. */
  readonly label: string | undefined;
  readonly rows: readonly TableRow[];
};

/** How deep tables are looked for. */
const DEPTH = 4;
/** Columns that a table has at most; wider rows are no table. */
const COLUMNS = 12;
/** Rows that a table has at least. */
const ROWS = 2;
/** Lists that have a place of their own on the page. */
const SHOWN_ELSEWHERE: ReadonlySet<string> = new Set(["messages", "plan"]);

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isScalar = (value: unknown): value is Scalar => value === null || typeof value !== "object";

const read = new WeakMap<readonly unknown[], Table | null>();

/** A state shares with the one before it what did not change, so a long list is looked at once. */
const tableOf = (path: string, list: readonly unknown[]): Table | null => {
  const known = read.get(list);
  if (known !== undefined && (known === null || known.path === path)) return known;
  const table = asTable(path, list);
  read.set(list, table);
  return table;
};

const asTable = (path: string, list: readonly unknown[]): Table | null => {
  const [first] = list;
  if (list.length < ROWS || !isObject(first)) return null;
  const columns = Object.keys(first);
  if (columns.length < 2 || columns.length > COLUMNS) return null;
  const isRow = (row: unknown): row is TableRow =>
    isObject(row) && Object.keys(row).length === columns.length && columns.every((column) => column in row && isScalar(row[column]));
  if (!list.every(isRow)) return null;
  const all = (column: string, type: string): boolean => list.every((row) => typeof row[column] === type);
  return {
    path,
    columns,
    numeric: columns.filter((column) => all(column, "number")),
    label: columns.find((column) => all(column, "string")),
    rows: list,
  };
};

/** Return the tables in a state, in its order. */
export const tablesIn = (state: unknown, path: readonly string[] = []): readonly Table[] => {
  if (Array.isArray(state)) {
    const table = tableOf(path.join("/"), state);
    return table === null ? [] : [table];
  }
  if (!isObject(state) || path.length >= DEPTH) return [];
  return Object.entries(state).flatMap(([key, value]) =>
    path.length === 0 && SHOWN_ELSEWHERE.has(key) ? [] : tablesIn(value, [...path, key]),
  );
};
