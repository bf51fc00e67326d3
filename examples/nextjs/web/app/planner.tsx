"use client";

import { AssistantRuntimeProvider } from "@assistant-ui/react";
import { useStatecast } from "@statecast/react";
import { Chat } from "./chat";
import { Guests } from "./guests";
import { Questions } from "./questions";

/** A thread: the chat, and beside it the state. */
export function Planner({ url }: { url: string }) {
  const { runtime, state, send, run, isRunning, questions, error } = useStatecast({ url, urlParam: "thread" });
  const problem = error?.message ?? run?.error?.message;
  return (
    <AssistantRuntimeProvider runtime={runtime}>
      <div className="columns">
        <Chat>
          <Questions questions={questions} />
        </Chat>
        <Guests
          guests={state?.guests ?? []}
          isBusy={isRunning || questions.length > 0}
          add={(name) => void send({ type: "add-guest", name })}
        />
      </div>
      {problem !== undefined && <p role="alert">{problem}</p>}
    </AssistantRuntimeProvider>
  );
}
