/** A titled box whose content scrolls. */
import { useId, type ReactNode, type Ref, type UIEventHandler } from "react";

type PanelProps = {
  readonly title: string;
  readonly note: ReactNode;
  readonly className: string;
  readonly children: ReactNode;
  /** Stays in place while the content scrolls. */
  readonly head?: ReactNode;
  readonly bodyRef?: Ref<HTMLDivElement>;
  readonly onScroll?: UIEventHandler<HTMLDivElement>;
};

export function Panel({ title, note, className, children, head, bodyRef, onScroll }: PanelProps) {
  const id = useId();
  return (
    <section className={`panel ${className}`} aria-labelledby={id}>
      <div className="panel-head">
        <h2 id={id}>{title}</h2>
        <span className="note">{note}</span>
      </div>
      {head}
      <div className="panel-body" ref={bodyRef} onScroll={onScroll} tabIndex={0} role="group" aria-labelledby={id}>
        {children}
      </div>
    </section>
  );
}
