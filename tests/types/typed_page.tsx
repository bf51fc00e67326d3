// A page that is right: every line passes. A line behind `@ts-expect-error` is wrong, and has to fail.
import { useAssistantTransportSendCommand, useAssistantTransportState } from "@assistant-ui/react";
import type { SetTopic, State } from "./agent";

export const Topic = () => {
  const state = useAssistantTransportState();
  const send = useAssistantTransportSendCommand();
  const topic: string | undefined = state.topic;
  const status: "pending" | "done" | undefined = useAssistantTransportState((all) => all.plan?.[0]?.status);
  const typed: State = state;
  const command: SetTopic = { type: "set-topic", topic: "Bees" };

  send(command);
  send({ type: "set-topic", topic: "Bees", startAt: "2026-01-01T00:00:00Z", id: "c1" });
  send({ type: "jump", anything: 1 });
  send({ type: "add-message", message: { role: "user", parts: [] }, parentId: null, sourceId: null });

  // @ts-expect-error: no such command
  send({ type: "set-topics", topic: "Bees" });
  // @ts-expect-error: a field is missing
  send({ type: "set-topic" });
  // @ts-expect-error: a field is of the wrong type
  send({ type: "set-topic", topic: 1 });
  // @ts-expect-error: a field is unknown
  send({ type: "set-topic", topic: "Bees", deep: true });
  // @ts-expect-error: no such field
  const none = state.nothing;
  // @ts-expect-error: the state is the server's
  state.topic = "Bees";
  // @ts-expect-error: no such status
  const wrong = state.plan?.[0]?.status === "doing";

  return [topic, status, typed, none, wrong].length;
};
