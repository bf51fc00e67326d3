/** A box that stays at its end while it grows, unless its reader has scrolled back. */
import { useLayoutEffect, useRef, type RefObject, type UIEvent } from "react";

/** Pixels from the end that still count as reading along. */
const NEAR_END = 40;

type Box<Element extends HTMLElement> = {
  readonly ref: RefObject<Element | null>;
  readonly onScroll: (event: UIEvent<Element>) => void;
};

/** Return what such a box needs; `content` is what grows. */
export const useEnd = <Element extends HTMLElement>(content: unknown): Box<Element> => {
  const ref = useRef<Element>(null);
  const along = useRef(true);
  useLayoutEffect(() => {
    if (along.current && ref.current) ref.current.scrollTop = ref.current.scrollHeight;
  }, [content]);
  return {
    ref,
    onScroll: ({ currentTarget: at }) => {
      along.current = at.scrollHeight - at.scrollTop - at.clientHeight < NEAR_END;
    },
  };
};
