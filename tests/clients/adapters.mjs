// Adapters for `useLocalRuntime` as an application would write them by hand, one for each form that a server may have.
//
// Each is made with the URL that it posts to, and whatever else is posted beside the messages. A run that failed is an
// error here: the runtime shows it on the message.

const post = async (url, { messages, abortSignal }, more) => {
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ messages, ...more }),
    signal: abortSignal,
  });
  if (!response.ok) throw new Error((await response.json()).error.message);
  return response;
};

async function* pieces(response) {
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield decoder.decode(value, { stream: true });
  }
}

async function* events(response) {
  let buffer = "";
  for await (const piece of pieces(response)) {
    buffer += piece;
    const lines = buffer.split("\n");
    buffer = lines.pop();
    for (const line of lines) if (line.startsWith("data: ")) yield line.slice("data: ".length);
  }
}

/** Raw text. */
export const text = (url, more) => ({
  async *run(options) {
    let text = "";
    for await (const piece of pieces(await post(url, options, more))) {
      text += piece;
      yield { content: [{ type: "text", text }] };
    }
  },
});

/** Events with a piece of the text in each; it knows of no errors. */
export const content = (url, more) => ({
  async *run(options) {
    let text = "";
    for await (const data of events(await post(url, options, more))) {
      if (data === "[DONE]") return;
      text += JSON.parse(data).content ?? "";
      yield { content: [{ type: "text", text }] };
    }
  },
});

/** Events with a type, as the documentation's reads them: texts, and calls with their results. */
export const typed = (url, more) => ({
  async *run(options) {
    let text = "";
    const calls = new Map();
    for await (const data of events(await post(url, options, more))) {
      const event = JSON.parse(data);
      if (event.type === "text") text += event.content;
      if (event.type === "tool_use") {
        const args = event.input ?? {};
        const call = { type: "tool-call", toolCallId: event.id, toolName: event.name, args };
        calls.set(event.id, { ...call, argsText: JSON.stringify(args) });
      }
      if (event.type === "tool_result") {
        calls.set(event.tool_use_id, { ...calls.get(event.tool_use_id), result: event.content });
      }
      yield { content: [...(text === "" ? [] : [{ type: "text", text }]), ...calls.values()] };
    }
  },
});

/** The same events, and everything that they tell, part by part. */
export const whole = (url, more) => ({
  async *run(options) {
    const parts = new Map();
    for await (const data of events(await post(url, options, more))) {
      const { type, ...event } = JSON.parse(data);
      if (type === "error") throw new Error(event.message);
      if (type === "text" || type === "reasoning") {
        parts.set(event.part, { type, text: (parts.get(event.part)?.text ?? "") + event.content });
      }
      if (type === "tool_use") {
        const { id: toolCallId, name: toolName, input: args } = event;
        parts.set(toolCallId, { type: "tool-call", toolCallId, toolName, args, argsText: JSON.stringify(args) });
      }
      if (type === "tool_result") {
        const call = parts.get(event.tool_use_id);
        parts.set(call.toolCallId, { ...call, result: event.content, isError: event.is_error ?? false });
      }
      yield { content: [...parts.values()] };
    }
  },
});

/** One reply, of which the text is all that counts. */
export const json = (url, more) => ({
  async run(options) {
    const reply = await (await post(url, options, more)).json();
    return { content: [{ type: "text", text: reply.text }] };
  },
});

/** One reply, which may ask for a tool of the page that a person answers; the answer is posted beside the messages. */
export const human = (url, more) => ({
  async run(options) {
    const toolResults = options
      .unstable_getMessage()
      .content.flatMap((part) =>
        part.type === "tool-call" && part.result !== undefined
          ? [{ toolCallId: part.toolCallId, result: part.result }]
          : [],
      );
    const reply = await (await post(url, options, { ...more, toolResults })).json();
    if (reply.toolCall === undefined) return { content: [{ type: "text", text: reply.text }] };
    const { id, name, args } = reply.toolCall;
    return {
      content: [{ type: "tool-call", toolCallId: id, toolName: name, args, argsText: JSON.stringify(args) }],
      status: { type: "requires-action", reason: "tool-calls" },
    };
  },
});
