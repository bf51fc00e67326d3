// CopilotKit's core around a client of AG-UI, as an application uses it that reaches its agents by itself.

import { CopilotKitCore } from "@copilotkit/core";
import { z } from "zod";
import { noted, until } from "./facts.mjs";

/** An agent that CopilotKit can join: it is shown what there is, and follows the run that is under way. */
export const joining = (HttpAgent) =>
  class extends HttpAgent {
    connect(input) {
      return this.run({ ...input, messages: [] });
    }
  };

/**
 * Put `agent` into a core with these tools: `{name: {description, parameters, execute?}}`. `execute` is the source of a
 * function; without it, a person answers. What the core says is wrong goes into `errors`.
 */
export const kitOf = (agent, tools, errors) => {
  const asked = new Map(); // what a person is to answer
  const byAPerson = (name) => () =>
    new Promise((resolve) => {
      asked.set(name, resolve);
      noted();
    });
  const core = new CopilotKitCore({
    agents__unsafe_dev_only: { default: agent },
    tools: Object.entries(tools).map(([name, { description, parameters, execute }]) => ({
      name,
      description,
      parameters: z.fromJSONSchema(parameters),
      ...(execute === undefined
        ? { type: "human-in-the-loop", handler: byAPerson(name) }
        : { handler: new Function(`return (${execute})`)() }),
    })),
  });
  core.subscribe({ onError: ({ code, error }) => (errors.push({ message: error.message, code }), noted()) });
  return {
    run: () => core.runAgent({ agent }),
    join: () => core.connectAgent({ agent }),
    stop: () => core.stopAgent({ agent }),
    answer: async (name, result, timeout) => {
      await until(() => asked.has(name), timeout, `a call of ${name}`);
      asked.get(name)(result);
      asked.delete(name);
    },
  };
};
