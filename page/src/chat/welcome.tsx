/** What an empty chat offers: things to try, in the agent's words, and what to look at. */
import { ThreadPrimitive } from "@assistant-ui/react";
import { useSignal } from "../agent/signal";
import { answering, loaded, useAgent, type Suggestion } from "../server/agents";

/** For an agent that suggests nothing. */
const LOOK_AT = [
  { name: "State and Operations", hint: "Send a message: the state is one document, and each change of it is listed." },
  { name: "The slider below", hint: "Drag it to see the page as it was at any revision, and fork the thread there." },
  { name: "Clients", hint: "Read the same answer in another protocol, or reload the page in the middle of it." },
] as const;

function Try({ suggestions }: { readonly suggestions: readonly Suggestion[] }) {
  return (
    <ul role="list" className="suggestions" aria-label="Suggestions">
      {suggestions.map(({ prompt, hint }) => (
        <li key={prompt}>
          <ThreadPrimitive.Suggestion className="suggestion" prompt={prompt} send data-testid="suggestion">
            <strong>{prompt}</strong>
            {hint !== "" && <span>{hint}</span>}
          </ThreadPrimitive.Suggestion>
        </li>
      ))}
    </ul>
  );
}

function Look() {
  return (
    <ul role="list" className="suggestions" aria-label="What to look at">
      {LOOK_AT.map(({ name, hint }) => (
        <li key={name} className="look-at">
          <strong>{name}</strong>
          <span>{hint}</span>
        </li>
      ))}
    </ul>
  );
}

export function Welcome() {
  const agent = useAgent();
  const { agents, problem } = useSignal(loaded);
  const suggestions = agent?.suggestions ?? (problem === null ? null : []);
  return (
    <div className="welcome">
      <h2>Say something, and watch the state change</h2>
      {agent !== null && (agents?.length ?? 0) > 1 && (
        <label className="agent-choice">
          Agent
          <select
            className="input small"
            value={agent.name}
            data-testid="agent"
            onChange={({ target }) => answering.set(target.value)}
          >
            {agents?.map(({ name }) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
      )}
      <p>
        Everything on this page comes from one JSON document on the server. Each change arrives as a small operation.
        {suggestions?.length ? " Things to try:" : ""}
      </p>
      {suggestions !== null && (suggestions.length > 0 ? <Try suggestions={suggestions.slice(0, 3)} /> : <Look />)}
    </div>
  );
}
