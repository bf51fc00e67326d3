// The published code by which clients keep messages in a history, as a filter: JSON lines in, JSON lines out.
//
//   {id, do: "load", rows}            a history in the form of assistant-ui, newest first as servers list it, read as the
//                                     adapter of assistant-ui reads it, and imported into the runtime's tree; `strict`
//                                     has what its decoder says that throws in place of dropping, in versions with one
//   {id, do: "encode", messages}      messages of assistant-ui as it stores them
//   {id, do: "decode-ui", rows}       a history in the form of the AI SDK: its messages, whether it finds them valid,
//                                     and what it would send to a model of them
//   {id, do: "encode-ui", messages}   messages of the AI SDK as they are stored
//
// Answers carry what was printed too, and the error, or null.

import { createInterface } from "node:readline";
import { format } from "node:util";
import { fromThreadMessageLike } from "@assistant-ui/core";
import { MessageRepository } from "@assistant-ui/core/internal";
import { convertToModelMessages, safeValidateUIMessages } from "ai";
import { aiSDKV6FormatAdapter } from "assistant-cloud/ai-sdk";
import * as stored from "./node_modules/@assistant-ui/core/dist/react/runtimes/cloud/auiV0.js"; // no package exports it

const { auiV0DecodeSafely, auiV0Encode } = stored;

let warnings = [];
for (const level of ["log", "info", "debug", "warn", "error"]) {
  console[level] = (...args) => warnings.push(format(...args));
}

const describe = (error) => (error instanceof Error ? error.message : String(error));

const tried = (decode, row) => {
  try {
    return decode(row)?.message ?? null;
  } catch (error) {
    return { thrown: describe(error) };
  }
};

const DO = {
  load: ({ rows }) => {
    const oldestFirst = rows.map((row) => ({ ...row, created_at: new Date(row.created_at) })).reverse();
    const loaded = [];
    const ids = new Set();
    for (const row of oldestFirst) {
      const item = auiV0DecodeSafely(row);
      if (!item || (item.parentId && !ids.has(item.parentId))) continue;
      ids.add(item.message.id);
      loaded.push(item);
    }
    const repository = new MessageRepository();
    repository.import({ messages: loaded });
    return {
      messages: loaded.map(({ message }) => message),
      strict: oldestFirst.map((row) => tried(stored.auiV0Decode ?? auiV0DecodeSafely, row)),
      shown: repository.getMessages().map(({ id }) => id),
    };
  },
  encode: ({ messages }) => ({
    contents: messages.map((message) =>
      auiV0Encode(fromThreadMessageLike(message, message.id, { type: "complete", reason: "unknown" })),
    ),
  }),
  "decode-ui": async ({ rows }) => {
    const messages = rows.map((row) => aiSDKV6FormatAdapter.decode(row).message);
    const checked = await safeValidateUIMessages({ messages });
    return {
      messages,
      invalid: checked.success ? null : describe(checked.error),
      model: await convertToModelMessages(messages).catch((error) => ({ refused: describe(error) })),
    };
  },
  "encode-ui": ({ messages }) => ({
    contents: messages.map((message) => aiSDKV6FormatAdapter.encode({ parentId: null, message })),
  }),
};

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  if (line === "") continue;
  const { id, do: name, ...request } = JSON.parse(line);
  warnings = [];
  let answer;
  try {
    answer = { error: null, ...(await DO[name](request)) };
  } catch (error) {
    answer = { error: describe(error) };
  }
  process.stdout.write(`${JSON.stringify({ id, ...answer, warnings })}\n`);
}
