/** The size of a value as JSON, computed at most twice a second. */
import { useEffect, useRef, useState } from "react";

const EVERY = 500;
const utf8 = new TextEncoder();

/** Return the bytes of a value; null until they are known. */
export const useSizeOf = (value: unknown): number | null => {
  const [size, setSize] = useState<number | null>(null);
  const latest = useRef(value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => {
    latest.current = value;
    timer.current ??= setTimeout(
      () => {
        timer.current = undefined;
        setSize(utf8.encode(JSON.stringify(latest.current ?? null)).length);
      },
      size === null ? 0 : EVERY,
    );
  }, [value, size]);
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      timer.current = undefined;
    },
    [],
  );
  return size;
};
