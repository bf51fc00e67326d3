/** A list of the state as a table, with a chart of one of its columns. */
import { memo, useState } from "react";
import { ChevronIcon } from "../icons";
import { Chart } from "./chart";
import { useEnd } from "./scroll";
import type { Table } from "./tables";
import { count } from "./times";

/** Rows that are drawn, the latest. */
const ROWS = 100;

const spoken = (column: string): string => column.replace(/([a-z])([A-Z])/g, "$1 $2").replaceAll("_", " ");
const shown = (value: unknown): string =>
  typeof value === "number" ? value.toLocaleString("en") : value === null ? "" : String(value);

export const DataTable = memo(function DataTable({ table }: { readonly table: Table }) {
  const { path, columns, numeric, label, rows } = table;
  const box = useEnd<HTMLDivElement>(rows.length);
  const [chosen, choose] = useState<string | null>(null);
  const column = chosen !== null && numeric.includes(chosen) ? chosen : numeric[numeric.length - 1];
  const hidden = Math.max(0, rows.length - ROWS);
  return (
    <details className="data-table" open data-testid="data-table" data-table={path}>
      <summary>
        <ChevronIcon />
        <code>{path || "state"}</code> <span className="note">{count(rows.length, "row")}</span>
      </summary>
      {column !== undefined && (
        <figure>
          <figcaption>
            {numeric.length > 1 ? (
              <label>
                <span className="visually-hidden">Column of the chart</span>
                <select className="input small" value={column} onChange={({ target }) => choose(target.value)}>
                  {numeric.map((name) => (
                    <option key={name} value={name}>
                      {spoken(name)}
                    </option>
                  ))}
                </select>
              </label>
            ) : (
              spoken(column)
            )}
          </figcaption>
          <Chart
            name={spoken(column)}
            values={rows.map((row) => Number(row[column]))}
            labels={label === undefined ? undefined : rows.map((row) => String(row[label]))}
          />
        </figure>
      )}
      <div {...box} className="table-box" tabIndex={0} role="group" aria-label={`Rows of ${path}`}>
        <table>
          <caption className="visually-hidden">
            {path}
            {hidden > 0 && `, the latest ${ROWS} of ${rows.length} rows`}
          </caption>
          <thead>
            <tr>
              {columns.map((name) => (
                <th key={name} scope="col" className={numeric.includes(name) ? "number" : undefined}>
                  {spoken(name)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.slice(hidden).map((row, index) => (
              <tr key={hidden + index}>
                {columns.map((name) => (
                  <td key={name} className={numeric.includes(name) ? "number" : undefined}>
                    {shown(row[name])}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
});
