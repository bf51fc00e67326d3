/** The state that the page shows: now, or at the revision that the reader has gone back to. */
import { useThreadState } from "../agent/following";
import type { DemoState } from "../agent/state";
import { useMoment } from "./log";

/** Return a part of that state. */
export const useShownState = <T,>(select: (state: DemoState) => T): T => {
  const live = useThreadState(select);
  const moment = useMoment();
  return moment === null ? live : select(moment.state as DemoState);
};
