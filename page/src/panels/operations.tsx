/** The operations as they arrive, the newest at the end and in view unless the reader has scrolled back. */
import { memo, useLayoutEffect, useRef } from "react";
import { arrived, type OperationRow } from "../agent/operations";
import { useSignal } from "../agent/signal";
import { Panel } from "./panel";

/** Pixels from the end that still count as reading along. */
const NEAR_END = 40;

const Row = memo(function Row({ operation: { number, type, path, value } }: { operation: OperationRow }) {
  return (
    <li data-testid="operation" data-type={type}>
      <span className="number">{number}</span>
      <span className="type">{type}</span>
      <span className="path">
        <bdi>{path || "(state)"}</bdi>
      </span>
      <span className="value">{value}</span>
    </li>
  );
});

export function Operations() {
  const { total, latest } = useSignal(arrived);
  const body = useRef<HTMLDivElement>(null);
  const along = useRef(true);
  useLayoutEffect(() => {
    if (along.current && body.current) body.current.scrollTop = body.current.scrollHeight;
  }, [latest]);
  return (
    <Panel
      title="Operations"
      note={total === 0 ? "as they arrive" : `${total.toLocaleString("en")} so far`}
      className="operations"
      bodyRef={body}
      onScroll={({ currentTarget: at }) => {
        along.current = at.scrollHeight - at.scrollTop - at.clientHeight < NEAR_END;
      }}
    >
      {total === 0 && <p className="empty">None yet. The first message brings some.</p>}
      <ol className="operation-list" data-testid="operations">
        {latest.map((operation) => (
          <Row key={operation.number} operation={operation} />
        ))}
      </ol>
    </Panel>
  );
}
