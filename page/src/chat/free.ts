/** Whether a message may be edited, or answered again. */
import { useAuiState } from "@assistant-ui/react";
import { useThreadState } from "../agent/following";
import { fixedIn } from "../agent/recent";
import { useMoment } from "../log/log";

export const useIsFree = (): boolean => {
  const index = useAuiState((s) => s.message.index);
  const fixed = useThreadState(fixedIn);
  return useMoment() === null && index >= fixed;
};
