// Uses of `@statecast/react` that are right: every line passes. A line behind `@ts-expect-error` is wrong, and has to fail.
import { AssistantRuntimeProvider, ReadonlyThreadProvider } from "@assistant-ui/react";
import { messagesOf, Refused, useStatecast, type Question } from "@statecast/react";
import { connect } from "@statecast/react/client";

interface State {
  readonly topic?: string;
  readonly messages?: readonly { readonly id: string; readonly role: "user" | "assistant"; readonly parts: readonly { readonly type: string }[] }[];
}
interface SetTopic {
  readonly type: "set-topic";
  readonly id?: string;
  readonly topic: string;
}

const Ask = ({ question }: { question: Question }) => (
  <button onClick={() => void question.answer(true)}>{question.prompt ?? question.call?.name}</button>
);

export function Page() {
  const { runtime, state, send, run, threads, questions, error } = useStatecast<State, SetTopic>({
    url: "http://127.0.0.1:8000",
    headers: async () => ({ Authorization: "Bearer …" }),
    messages: (now) => now.messages,
    threads: true,
  });
  const topic: string | undefined = state?.topic;
  void send({ type: "set-topic", topic: "Bees" });
  void send(["Hello", { type: "set-topic", topic: "Bees" }], { policy: "interrupt" });
  void send({ type: "answer", answers: { ask_1: true } });
  void threads.rename("t-1", "Bees");
  const code: string | undefined = error instanceof Refused ? error.code : run?.error?.code;

  // @ts-expect-error: no such command
  void send({ type: "set-topics", topic: "Bees" });
  // @ts-expect-error: a field is missing
  void send({ type: "set-topic" });
  // @ts-expect-error: a field is of the wrong type
  void send({ type: "set-topic", topic: 1 });
  // @ts-expect-error: the state is the server's
  if (state) state.topic = "Wasps";
  // @ts-expect-error: no such option
  useStatecast({ address: "http://127.0.0.1:8000" });

  return (
    <AssistantRuntimeProvider runtime={runtime}>
      {topic} {code}
      {questions.map((question) => (
        <Ask key={question.id} question={question} />
      ))}
      <ReadonlyThreadProvider messages={messagesOf(state)}>{null}</ReadonlyThreadProvider>
    </AssistantRuntimeProvider>
  );
}

export function Untyped() {
  const { send, state } = useStatecast();
  void send({ type: "anything", with: "fields" });
  return <p>{JSON.stringify(state)}</p>;
}

export const thread = connect<State>("http://127.0.0.1:8000", "t-1");
