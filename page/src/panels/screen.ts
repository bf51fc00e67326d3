/** How much room there is: decides what stands side by side, and what is a tab. */
import { useSyncExternalStore } from "react";

/** `phone`: one view at a time. `tablet`: two columns. `wide`: three. The widths are those of style/layout.css. */
export type Screen = "phone" | "tablet" | "wide";

const phone = matchMedia("(max-width: 759px)");
const wide = matchMedia("(min-width: 1180px)");

const subscribe = (listener: () => void): (() => void) => {
  for (const query of [phone, wide]) query.addEventListener("change", listener);
  return () => {
    for (const query of [phone, wide]) query.removeEventListener("change", listener);
  };
};

const screen = (): Screen => (phone.matches ? "phone" : wide.matches ? "wide" : "tablet");

export const useScreen = (): Screen => useSyncExternalStore(subscribe, screen);
