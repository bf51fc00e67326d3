/** Give the thread a title in the list: that of its state, else one made from its first message. */
import { useEffect, useRef } from "react";
import { listed, nameThread, renameThread } from "../server/threads";
import { useThreadState } from "./following";
import { useSignal } from "./signal";
import { threadId } from "./thread";

const ignored = (): void => {}; // the list goes without

export function useNaming(): void {
  const { threads } = useSignal(listed);
  const own = useThreadState((state) => (typeof state?.title === "string" ? state.title : ""));
  const answered = useThreadState((state) => state?.messages?.at(-1)?.role === "assistant");
  const summary = threads?.find(({ remoteId }) => remoteId === threadId);
  const isListed = summary !== undefined;
  const isNamed = summary?.title !== undefined;
  const first = useRef(own); // a title that was there before may have been changed in the list since
  useEffect(() => {
    if (!isListed || own === "" || own === summary.title) return;
    if (!isNamed || own !== first.current) renameThread(threadId, own).catch(ignored);
    first.current = own;
  }, [isListed, own]);
  useEffect(() => {
    if (isListed && !isNamed && own === "" && answered) nameThread(threadId).catch(ignored);
  }, [isListed, isNamed, own, answered]);
}
