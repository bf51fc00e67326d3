import { computed, onScopeDispose, shallowRef } from "vue";
import { connect, type Command } from "./client";

/** The thread that a parameter of the page's address names, or a new one, for as long as the component is there. */
export function useThread<State>(url = "", param = "thread") {
  const address = new URL(location.href);
  const thread = connect<State>(url, address.searchParams.get(param)); // null: a new thread
  const snapshot = shallowRef(thread.getSnapshot());
  const refusal = shallowRef<Error | null>(null);
  onScopeDispose(thread.subscribe(() => (snapshot.value = thread.getSnapshot())));

  async function attempt(request: Promise<unknown>) {
    refusal.value = null;
    await request.catch((error: Error) => (refusal.value = error));
  }

  async function send(command: string | Command) {
    await attempt(thread.send(command));
    if (refusal.value) return;
    address.searchParams.set(param, thread.id); // a reload comes back to it
    history.replaceState(history.state, "", address);
  }

  const cancel = () => attempt(thread.cancel());
  const error = computed(() => refusal.value ?? snapshot.value.error ?? snapshot.value.run?.error ?? null);
  return { snapshot, error, send, cancel };
}
