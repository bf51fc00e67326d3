/** What an empty chat offers: the words that steer the demo agent. */
import { ThreadPrimitive } from "@assistant-ui/react";

const SUGGESTIONS = [
  { word: "slow", prompt: "Take it slow", hint: "a long run: stop it, or reload the page" },
  { word: "think", prompt: "Please think first", hint: "reasoning before the answer" },
  { word: "tool", prompt: "Use a tool", hint: "the agent asks you and waits" },
  { word: "fail", prompt: "Now fail", hint: "a run that ends with an error" },
] as const;

export function Welcome() {
  return (
    <div className="welcome">
      <h2>Say something, and watch the state change</h2>
      <p>
        Everything you see is drawn from one JSON document on the server. Each change arrives as a small operation. Some
        words steer the agent:
      </p>
      <ul className="suggestions" aria-label="Suggestions">
        {SUGGESTIONS.map(({ word, prompt, hint }) => (
          <li key={word}>
            <ThreadPrimitive.Suggestion className="suggestion" prompt={prompt} send data-testid={`suggestion-${word}`}>
              <strong>{word}</strong>
              <span>{hint}</span>
            </ThreadPrimitive.Suggestion>
          </li>
        ))}
      </ul>
    </div>
  );
}
