/** One part of a message, drawn by its type. */
import type { EnrichedPartState } from "@assistant-ui/react";
import { AskUser } from "./ask-user";
import { ToolCall } from "./tool-call";

/** Only addresses that a click may safely follow. */
const isWebAddress = (url: string): boolean => /^https?:\/\//i.test(url);

export function Part({ part }: { part: EnrichedPartState }) {
  switch (part.type) {
    case "text":
      return (
        <p className="text" data-running={part.status.type === "running" || undefined}>
          {part.text}
        </p>
      );
    case "reasoning":
      return (
        <details className="reasoning" data-testid="reasoning">
          <summary>{part.status.type === "running" ? "Thinking…" : "Reasoning"}</summary>
          <p>{part.text}</p>
        </details>
      );
    case "image":
      return <img className="image" src={part.image} alt={part.filename ?? "Image in the message"} />;
    case "source":
      return part.sourceType === "url" && isWebAddress(part.url) ? (
        <a className="source" href={part.url} target="_blank" rel="noreferrer">
          {part.title ?? part.url}
        </a>
      ) : (
        <span className="source">{part.title}</span>
      );
    case "tool-call":
      return part.toolName === "ask_user" ? <AskUser part={part} /> : <ToolCall part={part} />;
    default:
      return null;
  }
}
