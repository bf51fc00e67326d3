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
export const MenuIcon = icon(<path d="M3.5 5.5h13M3.5 10h13M3.5 14.5h13" />);
export const MoreIcon = icon(
  <>
    <circle cx="4.5" cy="10" r="1.3" fill="currentColor" stroke="none" />
    <circle cx="10" cy="10" r="1.3" fill="currentColor" stroke="none" />
    <circle cx="15.5" cy="10" r="1.3" fill="currentColor" stroke="none" />
  </>,
);
export const PlusIcon = icon(<path d="M10 4v12M4 10h12" />);
export const SearchIcon = icon(
  <>
    <circle cx="8.8" cy="8.8" r="4.8" />
    <path d="M12.5 12.5L16.5 16.5" />
  </>,
);
export const TrashIcon = icon(<path d="M4 5.5h12M8 5.5V3.5h4v2M5.5 5.5l.8 11h7.4l.8-11M8.5 8.5v5M11.5 8.5v5" />);
export const SunIcon = icon(
  <>
    <circle cx="10" cy="10" r="3.4" />
    <path d="M10 2.5v2M10 15.5v2M2.5 10h2M15.5 10h2M4.7 4.7l1.4 1.4M13.9 13.9l1.4 1.4M4.7 15.3l1.4-1.4M13.9 6.1l1.4-1.4" />
  </>,
);
export const MoonIcon = icon(<path d="M16 11.8A6.6 6.6 0 0 1 8.2 4 6.6 6.6 0 1 0 16 11.8z" />);
export const SystemIcon = icon(
  <>
    <circle cx="10" cy="10" r="6.8" />
    <path d="M10 3.2a6.8 6.8 0 0 1 0 13.6z" fill="currentColor" stroke="none" />
  </>,
);
export const ChatIcon = icon(<path d="M3.5 4.5h13v9h-7l-3.5 3v-3H3.5z" />);
export const StateIcon = icon(<path d="M7.5 3.5c-3 0-1 5-3.5 6.5 2.5 1.5.5 6.5 3.5 6.5M12.5 3.5c3 0 1 5 3.5 6.5-2.5 1.5-.5 6.5-3.5 6.5" />);
export const OperationsIcon = icon(<path d="M3.5 5h5M3.5 10h9M3.5 15h7M14 3v5M11.5 5.5h5" />);
export const RunsIcon = icon(<path d="M3 5h7M6 10h8M9 15h8" strokeWidth="3" />);
export const CommandsIcon = icon(<path d="M4 5.5L8.5 10 4 14.5M10 15h6.5" />);
export const ClientsIcon = icon(
  <>
    <rect x="2.8" y="4" width="6" height="12" rx="1.4" />
    <rect x="11.2" y="4" width="6" height="12" rx="1.4" />
  </>,
);
export const HistoryIcon = icon(<path d="M3.6 6.5V3M3.6 6.5h3.6M3.8 6.3A7 7 0 1 1 3 10M10 6v4.2l2.8 1.7" />);
export const CopyIcon = icon(<path d="M7 7V4h9v9h-3M4 7h9v9H4z" />);
export const RetryIcon = icon(<path d="M16 4v4h-4M16 8a6.5 6.5 0 1 0 .5 4" />);
export const AttachIcon = icon(<path d="M13.5 6.5l-6 6a1.4 1.4 0 0 0 2 2l6-6a3 3 0 0 0-4.2-4.2l-6.2 6.2a4.6 4.6 0 0 0 6.5 6.5l5-5" />);
