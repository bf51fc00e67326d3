import { createSubscriber } from "svelte/reactivity";
import { connect, type Command } from "./client";

/** The thread that a parameter of the page's address names, or a new one, followed while anything on the page reads it. */
export function useThread<State>(url = "", param = "thread") {
  const address = new URL(location.href);
  const thread = connect<State>(url, address.searchParams.get(param)); // null: a new thread
  const subscribe = createSubscriber(thread.subscribe);
  let refusal = $state.raw<Error | null>(null);

  async function attempt(request: Promise<unknown>) {
    refusal = null;
    await request.catch((error: Error) => (refusal = error));
  }

  return {
    get snapshot() {
      subscribe();
      return thread.getSnapshot();
    },
    get error() {
      return refusal ?? this.snapshot.error ?? this.snapshot.run?.error ?? null;
    },
    async send(command: string | Command) {
      await attempt(thread.send(command));
      if (refusal) return;
      address.searchParams.set(param, thread.id); // a reload comes back to it
      history.replaceState(history.state, "", address);
    },
    cancel: () => attempt(thread.cancel()),
  };
}
