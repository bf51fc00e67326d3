/** The state that the page shows: its tables, with a chart each, and the whole of it as a tree. */
import { useMemo } from "react";
import { useShownState } from "../log/shown";
import { DataTable } from "./data-table";
import { Panel } from "./panel";
import { StateTree } from "./state-tree";
import { tablesIn } from "./tables";

export function StateView() {
  const state: unknown = useShownState((whole) => whole);
  const tables = useMemo(() => tablesIn(state), [state]);
  return (
    <Panel title="State" note="one document, owned by the server" className="state">
      {tables.map((table) => (
        <DataTable key={table.path} table={table} />
      ))}
      {state === null ? <p className="empty">The state appears here with the first message.</p> : <StateTree state={state} />}
    </Panel>
  );
}
