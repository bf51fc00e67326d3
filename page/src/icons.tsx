/** The few icons of the page, drawn by hand on a 20 × 20 grid. */
import type { ReactNode } from "react";

const icon = (drawing: ReactNode) =>
  function Icon() {
    return (
      <svg className="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
        {drawing}
      </svg>
    );
  };

export const SendIcon = icon(<path d="M10 16V4.5M5 9l5-5 5 5" />);
export const StopIcon = icon(<rect x="5.5" y="5.5" width="9" height="9" rx="2" fill="currentColor" stroke="none" />);
export const EditIcon = icon(<path d="M4 16l.8-3.4 8.4-8.4a1.6 1.6 0 0 1 2.3 0l.3.3a1.6 1.6 0 0 1 0 2.3l-8.4 8.4z" />);
export const CloseIcon = icon(<path d="M5.5 5.5l9 9M14.5 5.5l-9 9" />);
export const CheckIcon = icon(<path d="M4.5 10.5l3.6 3.6 7.4-8" />);
export const AlertIcon = icon(<path d="M10 3.2L17.6 16.5H2.4zM10 8v4M10 14.3v.1" />);
export const ChevronIcon = icon(<path d="M7.5 5l5 5-5 5" />);
export const MarkIcon = icon(
  <>
    <path d="M4 12.5a3.5 3.5 0 0 1 3.5 3.5M4 8.2a7.8 7.8 0 0 1 7.8 7.8M4 4a12 12 0 0 1 12 12" />
    <circle cx="4.6" cy="15.4" r="1.4" fill="currentColor" stroke="none" />
  </>,
);
