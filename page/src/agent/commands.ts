/** Telling the built-in commands apart from the agent's own. */
import type { AssistantTransportCommand } from "@assistant-ui/react";

// A custom command may have any type, so what tells the built-in ones apart for the compiler is a field they must have.
export type AddMessage = Extract<AssistantTransportCommand, { message: unknown }>;
export type AddToolResult = Extract<AssistantTransportCommand, { toolCallId: unknown }>;

export const BUILT_IN: ReadonlySet<string> = new Set(["add-message", "add-tool-result", "answer"]);

export const isAddMessage = (command: AssistantTransportCommand): command is AddMessage =>
  command.type === "add-message";

export const isAddToolResult = (command: AssistantTransportCommand): command is AddToolResult =>
  command.type === "add-tool-result";
