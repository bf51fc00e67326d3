/** A button that opens a small box below it. The box closes on Escape, and where anything else is used. */
import { useId, useRef, type ReactNode } from "react";

type PopoverProps = {
  readonly label: ReactNode;
  readonly title: string;
  readonly className: string;
  readonly testId: string;
  readonly children: ReactNode;
  readonly "data-connected"?: boolean;
};

export function Popover({ label, title, className, testId, children, ...data }: PopoverProps) {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const box = useRef<HTMLDivElement>(null);
  /** The box is in the top layer, so its place is that of the button. */
  const place = (): void => {
    if (!button.current || !box.current) return;
    const { bottom, right } = button.current.getBoundingClientRect();
    box.current.style.top = `${bottom + 6}px`;
    box.current.style.right = `${Math.max(8, innerWidth - right)}px`;
  };
  return (
    <>
      <button
        {...data}
        ref={button}
        type="button"
        className={`popover-button ${className}`}
        popoverTarget={id}
        title={title}
        aria-label={title}
        data-testid={testId}
        onClick={place}
      >
        {label}
      </button>
      <div ref={box} id={id} popover="auto" className="popover" role="group" aria-label={title} onBeforeToggle={place}>
        {children}
      </div>
    </>
  );
}
