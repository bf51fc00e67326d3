/** Tabs, as ARIA has them: one is in the tab order, and the arrow keys move between them. */
import type { ComponentType, KeyboardEvent } from "react";

export type Tab<Name extends string> = {
  readonly name: Name;
  readonly label: string;
  readonly Icon: ComponentType;
};

type TabsProps<Name extends string> = {
  readonly label: string;
  readonly tabs: readonly Tab<Name>[];
  readonly selected: Name;
  readonly onSelect: (name: Name) => void;
};

export const tabId = (name: string): string => `tab-${name}`;
export const panelId = (name: string): string => `view-${name}`;

const STEPS: Readonly<Record<string, number>> = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

export function Tabs<Name extends string>({ label, tabs, selected, onSelect }: TabsProps<Name>) {
  const move = (event: KeyboardEvent<HTMLElement>): void => {
    const now = tabs.findIndex(({ name }) => name === selected);
    const step = STEPS[event.key];
    const next =
      step !== undefined
        ? (now + step + tabs.length) % tabs.length
        : event.key === "Home"
          ? 0
          : event.key === "End"
            ? tabs.length - 1
            : -1;
    const tab = tabs[next];
    if (!tab) return;
    event.preventDefault();
    onSelect(tab.name);
    document.getElementById(tabId(tab.name))?.focus();
  };
  return (
    <div className="tabs" role="tablist" aria-label={label} onKeyDown={move}>
      {tabs.map(({ name, label: text, Icon }) => (
        <button
          key={name}
          type="button"
          role="tab"
          id={tabId(name)}
          data-testid={tabId(name)}
          aria-selected={name === selected}
          aria-controls={panelId(name)}
          tabIndex={name === selected ? 0 : -1}
          onClick={() => onSelect(name)}
        >
          <Icon />
          <span>{text}</span>
        </button>
      ))}
    </div>
  );
}
