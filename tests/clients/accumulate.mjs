// The published client's decoders as a filter: JSON lines in, JSON lines out.
//
// One process judges many programs. Requests are answered in order, one at a time, so that a console
// message belongs to exactly one of them. A line is one of
//
//   {id, protocol, initial, body, frames?, strict?}   a whole response, base64; `frames` are byte offsets where
//                                                     it is cut into pieces (anywhere, also inside a character)
//   {id, initial, batches}                            batches of state operations, no bytes involved
//
// and both are strict unless they say `strict: false`. Answers carry every state, what the message became,
// what the client printed, and the error that a user of the hook would see, or null.

import { createInterface } from "node:readline";
import { format } from "node:util";
import {
  AssistantMessageAccumulator,
  AssistantTransportDecoder,
  DataStreamDecoder,
  unstable_createInitialMessage,
} from "assistant-stream";

const DECODERS = {
  "assistant-transport": AssistantTransportDecoder,
  "data-stream": DataStreamDecoder,
};

let warnings = [];
for (const level of ["log", "info", "debug", "warn", "error"]) {
  console[level] = (...args) => warnings.push(format(...args));
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

const describe = (error) => (error instanceof Error ? error.message : String(error));

/** Split `bytes` at the offsets in `frames`; bytes after the last offset are one more piece. */
const cut = (bytes, frames) => {
  const pieces = [];
  let start = 0;
  for (const end of [...(frames ?? []), bytes.length]) {
    if (end > start) pieces.push(bytes.subarray(start, end));
    start = end;
  }
  return pieces;
};

/** Build the client's accumulator over `initial`; an `error` chunk ends up in `onError`. */
const accumulatorOf = (initial, strict, onError) =>
  new AssistantMessageAccumulator({
    initialMessage: unstable_createInitialMessage({ unstable_state: initial ?? null }),
    strict,
    onError,
  });

/** Read a stream to its end, handing each value to `each`; the error that broke it, or null. */
const drain = async (stream, each) => {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return null;
      each(value);
    }
  } catch (error) {
    return describe(error);
  }
};

const decode = async ({ protocol, initial, body, frames, strict = true }) => {
  const Decoder = DECODERS[protocol];
  if (Decoder === undefined) throw new Error(`unknown protocol ${JSON.stringify(protocol)}`);

  let source;
  const wire = new ReadableStream({ start: (controller) => void (source = controller) });
  // The accumulator emits one message for each chunk, and at most one more at the end: chunk n made message n.
  const types = [];
  const witness = new TransformStream({
    transform(chunk, controller) {
      types.push(chunk.type);
      controller.enqueue(chunk);
    },
  });

  let reported = null;
  let message = unstable_createInitialMessage({ unstable_state: initial ?? null });
  let seen = 0;
  const states = [];
  const messages = wire
    .pipeThrough(new Decoder({ strict }))
    .pipeThrough(witness)
    .pipeThrough(accumulatorOf(initial, strict, (error) => void (reported = error)));
  const ended = drain(messages, (next) => {
    message = next;
    if (types[seen++] === "update-state") states.push(message.metadata.unstable_state);
  });

  const frameStates = frames && [];
  for (const piece of cut(Buffer.from(body, "base64"), frames)) {
    try {
      source.enqueue(new Uint8Array(piece));
    } catch {
      break; // The reader has already given up; what it said is in `ended`.
    }
    if (frames) {
      await nextTurn(); // Decoding is microtasks only, so after one turn the piece is digested.
      frameStates.push(message.metadata.unstable_state);
    }
  }
  try {
    source.close();
  } catch {
    // Already closed by an error of the decoder.
  }
  const broken = await ended;

  return {
    states,
    ...(frames && { frameStates }),
    final: message.metadata.unstable_state,
    parts: message.parts,
    metadata: message.metadata,
    status: message.status,
    error: broken ?? reported,
  };
};

const apply = async ({ initial, batches, strict = true }) => {
  let reported = null;
  const accumulator = accumulatorOf(initial, strict, (error) => void (reported = error));
  const states = [];
  const ended = drain(accumulator.readable, (message) => {
    if (states.length < batches.length) states.push(message.metadata.unstable_state);
  });
  const writer = accumulator.writable.getWriter();
  for (const operations of batches) {
    writer.write({ type: "update-state", path: [], operations }).catch(() => {});
  }
  writer.close().catch(() => {});
  const broken = await ended;
  return { states, final: states.length > 0 ? states.at(-1) : (initial ?? null), error: broken ?? reported };
};

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  if (line === "") continue;
  const request = JSON.parse(line);
  warnings = [];
  let answer;
  try {
    answer = request.batches === undefined ? await decode(request) : await apply(request);
  } catch (error) {
    answer = { error: `accumulate.mjs: ${describe(error)}`, states: [], final: null };
  }
  process.stdout.write(`${JSON.stringify({ id: request.id, ...answer, warnings })}\n`);
}
