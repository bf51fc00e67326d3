/**
 * The thread this page shows. Its id stands in the address once there is something to come back to, so that a reload, a
 * bookmark or a second tab reopens the same thread.
 */

const PARAMETER = "thread";
const SHAPE = /^[A-Za-z0-9_.:~-]{1,128}$/;

const named = new URLSearchParams(location.search).get(PARAMETER);

/** `crypto.randomUUID` is missing outside secure contexts; random bytes are not. */
const freshId = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Whether the address named a thread, which the server may still know. */
export const reopened = named !== null && SHAPE.test(named);

export const threadId: string = reopened && named !== null ? named : freshId();

export const inAddress = (): boolean => new URL(location.href).searchParams.get(PARAMETER) === threadId;

export const showInAddress = (): void => {
  if (inAddress()) return;
  const address = new URL(location.href);
  address.searchParams.set(PARAMETER, threadId);
  history.replaceState(history.state, "", address);
};
