// The published decoders of message protocols as a filter: JSON lines in, JSON lines out.
//
// A line is {id, decoder, body, message?}: a whole response, base64, and the message that it goes on with. Decoders are
//
//   ai-sdk             the AI SDK's transport, which checks each chunk with the package's schema, and its reader
//   ui-message-stream  assistant-ui's decoder of the same protocol, and its accumulator
//   data-stream        assistant-ui's, strict, likewise
//
// Answers carry the parts that the message has at the end, what came beside them, what was printed, and the error.

import { createInterface } from "node:readline";
import { format } from "node:util";
import { DefaultChatTransport, readUIMessageStream } from "ai";
import { AssistantMessageAccumulator, DataStreamDecoder, UIMessageStreamDecoder } from "assistant-stream";

let warnings = [];
for (const level of ["log", "info", "debug", "warn", "error"]) {
  console[level] = (...args) => warnings.push(format(...args));
}

const describe = (error) => (error instanceof Error ? error.message : String(error));

const ofAiSdk = async (bytes, message) => {
  const transport = new DefaultChatTransport({ fetch: async () => new Response(bytes) });
  const data = [];
  const chunks = await transport.sendMessages({ chatId: "c", messages: [], trigger: "submit-message" });
  const watched = chunks.pipeThrough(
    new TransformStream({
      transform(chunk, controller) {
        if (chunk.type.startsWith("data-") && chunk.transient) data.push(chunk);
        controller.enqueue(chunk);
      },
    }),
  );
  let last = message;
  let error = null;
  const seen = readUIMessageStream({ message, stream: watched, onError: (failure) => (error ??= describe(failure)) });
  for await (const next of seen) last = next;
  return { parts: last?.parts ?? [], metadata: last?.metadata ?? null, data, error };
};

const ofAssistantUi = async (decoder, bytes, data) => {
  let last = null;
  let error = null;
  const accumulator = new AssistantMessageAccumulator({ onError: (text) => (error ??= text) });
  try {
    const stream = new Response(bytes).body.pipeThrough(decoder).pipeThrough(accumulator);
    for await (const next of stream) last = next;
  } catch (failure) {
    error ??= describe(failure);
  }
  return { parts: last?.parts ?? [], metadata: last?.metadata ?? null, status: last?.status ?? null, data, error };
};

const DECODERS = {
  "ai-sdk": ofAiSdk,
  "ui-message-stream": (bytes) => {
    const data = [];
    return ofAssistantUi(new UIMessageStreamDecoder({ onData: (part) => data.push(part) }), bytes, data);
  },
  "data-stream": (bytes) => ofAssistantUi(new DataStreamDecoder({ strict: true }), bytes, []),
};

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  if (line === "") continue;
  const { id, decoder, body, message } = JSON.parse(line);
  warnings = [];
  let answer;
  try {
    answer = await DECODERS[decoder](new Uint8Array(Buffer.from(body, "base64")), message);
  } catch (error) {
    answer = { error: describe(error), parts: [], metadata: null, data: [] };
  }
  process.stdout.write(`${JSON.stringify({ id, ...answer, warnings })}\n`);
}
