// A thread's history, as an application gives it to a local runtime: what was said, and the run that is under way.
//
// A runtime that holds the messages itself has no other way to join a run that it has not begun: it loads what was said
// before the answer, and `resume` streams the answer from its start.

import { ExportedMessageRepository } from "@assistant-ui/react";

export const historyOf = ({ url, threadId }, resume) => ({
  load: async () => {
    const { state, run } = await (await fetch(`${url}/threads/${threadId}/state`)).json();
    const runs = run.status === "running";
    const said = runs ? state.messages.findLastIndex(({ role }) => role === "user") + 1 : state.messages.length;
    const messages = state.messages.slice(0, said).map(({ id, role, parts }) => ({ id, role, content: parts }));
    return { ...ExportedMessageRepository.fromArray(messages), unstable_resume: runs };
  },
  append: async () => {}, // the server has it
  resume,
});
