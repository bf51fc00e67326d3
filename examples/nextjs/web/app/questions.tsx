import type { Question } from "@statecast/react";

/** The agent's open questions. This agent asks only for approvals. */
export function Questions({ questions }: { questions: readonly Question[] }) {
  return questions.map(({ id, prompt, answer, decline }) => (
    <p key={id} className="row">
      {prompt}
      <button onClick={() => answer(true)}>Approve</button>
      <button onClick={() => decline()}>Deny</button>
    </p>
  ));
}
