/** The state of the demo agent, as the server owns it. */
import type { Json } from "statecast/client.js";

export type { Json };
export type JsonObject = { readonly [key: string]: Json };

export type ToolCallPart = {
  readonly type: "tool-call";
  readonly toolCallId: string;
  readonly toolName: string;
  readonly args?: JsonObject;
  readonly argsText?: string;
  readonly result?: Json;
  readonly isError?: boolean;
  readonly artifact?: Json;
  /** Whether its run was stopped before it had a result. */
  readonly cutOff?: boolean;
};

export type Part =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "reasoning"; readonly text: string }
  | { readonly type: "image"; readonly image: string }
  | { readonly type: "source"; readonly sourceType: "url"; readonly id: string; readonly url: string; readonly title?: string }
  | ToolCallPart;

export type Message = {
  readonly id: string;
  readonly role: "user" | "assistant";
  readonly parts: readonly Part[];
  /** Of an answer that its run did not finish. */
  readonly status?: { readonly type: "incomplete"; readonly reason: "cancelled" | "error" | "other" };
};

export type Step = { readonly title: string; readonly status: "pending" | "running" | "done" };
export type Progress = { readonly label: string; readonly done: number; readonly total: number };
export type Document = { readonly name: string; readonly words: number };

/** Every field may be missing: before the first answer the state is null, and the server may grow it field by field. */
export type DemoState = {
  readonly title?: string;
  readonly messages?: readonly Message[];
  readonly plan?: readonly Step[];
  readonly progress?: Progress;
  readonly documents?: readonly Document[];
} | null;

/** A command that the agent declares; its fields follow the agent's schema. */
export type CustomCommand = { readonly type: string; readonly [field: string]: unknown };

declare module "@assistant-ui/react" {
  namespace Assistant {
    interface Commands {
      custom: CustomCommand;
    }
    interface ExternalState {
      demo: DemoState;
    }
  }
}
