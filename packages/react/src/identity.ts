/**
 * Which thread is shown: the one that the page names, or that its address names, or a new one.
 *
 * A new thread is in the address as soon as something is sent to it; before that there is nothing to come back to.
 */
import { useCallback, useEffect, useMemo, useState, useSyncExternalStore } from "react";

const SHAPE = /^[A-Za-z0-9_.:~-]{1,128}$/;

/** `isNew`: it is made here, so the server does not know it before something is sent. */
type Place = { readonly id: string; readonly isNew: boolean };

export type Identity = Place & {
  readonly open: (id: string) => void;
  readonly create: () => void;
  /** Let a reload come back to the thread. */
  readonly keep: () => void;
};

/** `crypto.randomUUID` is missing outside secure contexts; random bytes are not. */
const freshPlace = (): Place => {
  const bytes = crypto.getRandomValues(new Uint8Array(10));
  return { id: `thr_${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`, isNew: true };
};

const isBrowser = typeof window !== "undefined";

const inAddress = (param: string | undefined): string | null => {
  const named = isBrowser && param !== undefined ? new URLSearchParams(location.search).get(param) : null;
  return named !== null && SHAPE.test(named) ? named : null;
};

const placeIn = (param: string | undefined): Place => {
  const named = inAddress(param);
  return named === null ? freshPlace() : { id: named, isNew: false };
};

const addressOf = (param: string, id: string | null): URL => {
  const address = new URL(location.href);
  if (id === null) address.searchParams.delete(param);
  else address.searchParams.set(param, id);
  return address;
};

/**
 * The state of the history entry, as the page's router finds it again behind a new address.
 *
 * Next.js takes a state with its mark for one of its own calls: it would not note the new address, and later put the old
 * one back. It adds the mark by itself.
 */
const keptState = (): unknown => {
  const state: unknown = history.state;
  return typeof state === "object" && state !== null && "__NA" in state ? { ...state, __NA: undefined } : state;
};

export function useIdentity(
  given: string | undefined,
  isNew: boolean,
  param: string | undefined,
  onChange: ((id: string) => void) | undefined,
): Identity {
  const [own, setOwn] = useState(() => placeIn(param));
  const place = useMemo<Place>(() => {
    if (given === undefined) return own;
    return { id: given, isNew: isNew || (given === own.id && own.isNew) };
  }, [given, isNew, own]);

  useEffect(() => {
    if (param === undefined || given !== undefined) return undefined;
    const moved = () => setOwn((now) => (inAddress(param) === now.id ? now : placeIn(param)));
    window.addEventListener("popstate", moved);
    return () => window.removeEventListener("popstate", moved);
  }, [param, given]);

  const keep = useCallback(() => {
    if (param !== undefined && inAddress(param) !== place.id) history.replaceState(keptState(), "", addressOf(param, place.id));
  }, [param, place.id]);

  const go = useCallback(
    (next: Place) => {
      setOwn(next);
      onChange?.(next.id);
      if (param !== undefined) history.pushState(null, "", addressOf(param, next.isNew ? null : next.id));
    },
    [param, onChange],
  );
  const open = useCallback((id: string) => go({ id, isNew: false }), [go]);
  const create = useCallback(() => go(freshPlace()), [go]);
  return { ...place, open, create, keep };
}

const never = () => () => {};

/** Whether the page has taken over what a server has rendered: from then on it may show what only a browser knows. */
export const useIsHydrated = (): boolean => useSyncExternalStore(never, () => true, () => false);
