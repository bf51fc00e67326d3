/** What the page has registered with assistant-ui for the model: instructions, tools and settings. */
import type { AssistantRuntime } from "@assistant-ui/react";

type Schema = { readonly [keyword: string]: unknown };

/** Return parameters as a JSON Schema: they are one, or of a library that can say them as one. */
const schemaOf = (parameters: unknown): Schema | undefined => {
  if (typeof parameters !== "object" || parameters === null) return undefined;
  const standard = (parameters as { "~standard"?: { jsonSchema?: { input: (to: { target: string }) => Schema } } })["~standard"];
  return standard === undefined ? (parameters as Schema) : standard.jsonSchema?.input({ target: "draft-07" });
};

/** Return the fields of a request that tell the agent of it. */
export const contextFields = (runtime: AssistantRuntime): { readonly [field: string]: unknown } => {
  const { system, tools, callSettings, config } = runtime.thread.getModelContext();
  const described = Object.entries(tools ?? {}).flatMap(([name, tool]) => {
    if (tool.type === "backend" || tool.disabled) return [];
    const { description, parameters } = tool as { readonly description?: string; readonly parameters?: unknown };
    return [[name, { ...(description !== undefined && { description }), parameters: schemaOf(parameters) ?? {} }] as const];
  });
  return {
    ...(system !== undefined && { system }),
    ...(described.length > 0 && { tools: Object.fromEntries(described) }),
    ...(callSettings !== undefined && { callSettings }),
    ...(config !== undefined && { config }),
  };
};
