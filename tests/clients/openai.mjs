// Ask with the published `openai` package: one request a line, one answer a line. openai_clients.py starts it.
//
// A request has `do` (see ACTS), `baseURL`, `headers?`, and what the act takes. An answer has what it returned, or the
// `error` it threw, beside what had come by then.

import { createInterface } from "node:readline";
import OpenAI from "openai";

const described = (error) => ({
  name: error.constructor.name,
  message: error.message,
  status: error.status ?? null,
  code: error.code ?? null,
  type: error.type ?? null,
  param: error.param ?? null,
});

const ACTS = {
  create: async (client, { body }) => ({ completion: await client.chat.completions.create(body) }),

  /** The chunks as they come; with `leaveAfter`, as many, and then the stream is given up. */
  stream: async (client, { body, leaveAfter = Infinity }, answer) => {
    answer.chunks = [];
    for await (const chunk of await client.chat.completions.create({ ...body, stream: true })) {
      answer.chunks.push(chunk);
      if (answer.chunks.length >= leaveAfter) break;
    }
  },

  /** What the package's own accumulator makes of a stream. */
  accumulate: async (client, { body }) => ({
    completion: await client.chat.completions.stream(body).finalChatCompletion(),
  }),

  /** The package's own loop, which calls tools and goes on: `results` by the name of the tool. */
  runTools: async (client, { body, results }) => {
    const calls = [];
    const tools = body.tools.map(({ type, function: declared }) => ({
      type,
      function: {
        ...declared,
        parse: JSON.parse,
        function: (args) => {
          calls.push({ name: declared.name, args });
          return results[declared.name];
        },
      },
    }));
    const runner = client.chat.completions.runTools({ ...body, tools });
    return { text: await runner.finalContent(), messages: runner.messages, calls };
  },

  models: async (client) => {
    const models = [];
    for await (const model of client.models.list()) models.push(model);
    return { models };
  },

  model: async (client, { name }) => ({ model: await client.models.retrieve(name) }),
};

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  if (line === "") continue;
  const request = JSON.parse(line);
  const client = new OpenAI({ baseURL: request.baseURL, apiKey: "any", defaultHeaders: request.headers ?? {} });
  const answer = {};
  try {
    Object.assign(answer, await ACTS[request.do](client, request, answer));
  } catch (error) {
    answer.error = described(error);
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
