/** Light, dark, or as the system has it. The choice stays in this browser. */
import { useEffect, useState } from "react";
import { MoonIcon, SunIcon, SystemIcon } from "../icons";

const THEMES = ["system", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];

const PLACE = "statecast-theme";
const ICONS = { system: SystemIcon, light: SunIcon, dark: MoonIcon };
const NAMES = { system: "as the system", light: "light", dark: "dark" };

const remembered = (): Theme => {
  try {
    const found = localStorage.getItem(PLACE);
    return THEMES.find((theme) => theme === found) ?? "system";
  } catch {
    return "system"; // storage is off here
  }
};

const remember = (theme: Theme): void => {
  try {
    if (theme === "system") localStorage.removeItem(PLACE);
    else localStorage.setItem(PLACE, theme);
  } catch {
    // It lasts until the page is loaded again.
  }
};

export function ThemeSwitch() {
  const [theme, setTheme] = useState(remembered);
  useEffect(() => {
    document.documentElement.dataset["theme"] = theme;
  }, [theme]);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]!;
  const Icon = ICONS[theme];
  const choose = (): void => {
    setTheme(next);
    remember(next);
  };
  return (
    <button
      type="button"
      className="icon-button"
      data-testid="theme"
      aria-label={`Colours: ${NAMES[theme]}. Change to ${NAMES[next]}`}
      title={`Colours: ${NAMES[theme]}`}
      onClick={choose}
    >
      <Icon />
    </button>
  );
}
