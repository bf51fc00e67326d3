/** One part of a message, drawn by its type. */
import type { EnrichedPartState } from "@assistant-ui/react";
import { useState } from "react";
import { ChevronIcon } from "../icons";
import { Markdown } from "./markdown";
import { ToolCall } from "./tool-call";
import { isWebAddress } from "./web-address";

/** Open if it was seen growing, so that it can be read along; what the reader chooses after that stays. */
function Reasoning({ text, growing }: { text: string; growing: boolean }) {
  const [open] = useState(growing);
  return (
    <details className="reasoning" data-testid="reasoning" open={open}>
      <summary>
        <ChevronIcon />
        {growing ? "Thinking…" : "Reasoning"}
      </summary>
      <p>{text}</p>
    </details>
  );
}

function File({ name, mimeType, data }: { name: string | undefined; mimeType: string; data: string }) {
  const shown = name ?? mimeType;
  return isWebAddress(data) ? (
    <a className="source" href={data} target="_blank" rel="noreferrer">
      {shown}
    </a>
  ) : (
    <span className="source">{shown}</span>
  );
}

/** Data of the agent's own, which this page knows nothing of. */
function Data({ name, data }: { name: string; data: unknown }) {
  return (
    <details className="tool-call">
      <summary>
        <ChevronIcon />
        <code>{name}</code>
      </summary>
      <pre>{JSON.stringify(data, null, 2)}</pre>
    </details>
  );
}

export function Part({ part }: { part: EnrichedPartState }) {
  switch (part.type) {
    case "text":
      if (part.text === "") return null; // the sign of life says enough
      return (
        <p className="text" data-running={part.status.type === "running" || undefined}>
          <Markdown text={part.text} />
        </p>
      );
    case "reasoning":
      return <Reasoning text={part.text} growing={part.status.type === "running"} />;
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
      return <ToolCall part={part} />;
    case "file":
      return <File name={part.filename} mimeType={part.mimeType} data={part.data} />;
    case "data":
      return <Data name={part.name} data={part.data} />;
    default:
      return null;
  }
}
