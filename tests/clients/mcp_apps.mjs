// The MCP apps that assistant-ui finds in the tool calls of a message: one message a line, as the state has it.

import { createInterface } from "node:readline";
import { fromThreadMessageLike, getMcpAppFromToolPart } from "@assistant-ui/react";

const appsIn = ({ id, role, parts }) =>
  fromThreadMessageLike({ id, role, content: parts }, id, { type: "complete", reason: "stop" })
    .content.filter((part) => part.type === "tool-call")
    .map((part) => ({ app: getMcpAppFromToolPart(part) ?? null, resource: part.artifact?.resource ?? null }));

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(appsIn(JSON.parse(line)))}\n`);
}
