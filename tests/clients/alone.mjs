// What programs of test_adapters.py begin with: `adapters.js` in Node, by itself, on a wire that may lose what it carries.
//
//   node --eval <program> <url> <adapters.js>

export const [url, module] = process.argv.slice(1);
const { createAdapters } = await import(module);
export { createAdapters };

/** What went out; and `fails(request, count)` says what is lost: true, the answer, or a response instead of it. */
export const wire = { sent: [], fails: () => false };

const carry = async (address, init = {}) => {
  const request = `${init.method ?? "GET"} ${address.slice(url.length)}`;
  wire.sent.push(request);
  const failure = wire.fails(request, wire.sent.length);
  if (failure instanceof Response) return failure;
  const response = await fetch(address, init);
  if (failure) throw new TypeError("fetch failed");
  return response;
};

export const adapters = createAdapters({ url, fetch: carry });

export const print = (value) => console.log(JSON.stringify(value));

/** What a promise rejects with; null if it does not. */
export const caught = (promise) =>
  promise.then(
    () => null,
    ({ name, status, code, message }) => ({ name, status, code, message }),
  );

/** A message of assistant-ui. */
export const said = (id, role, text) => ({
  ...{ id, role, content: [{ type: "text", text }], createdAt: new Date(), metadata: {} },
  ...(role === "assistant" && { status: { type: "complete", reason: "stop" } }),
});

/** The id of each message, of the one before it, and its text. */
export const texts = ({ messages }) =>
  messages.map(({ message, parentId }) => [message.id, parentId, message.content[0].text]);

/** A thread in a page's list. */
export const itemOf = (remoteId) => () => ({
  getState: () => ({ id: remoteId, remoteId }),
  initialize: async () => ({ remoteId }),
});

/** What a runtime asks of a model. */
export const asked = (messages, unstable_assistantMessageId) => ({
  messages,
  context: {},
  abortSignal: new AbortController().signal,
  unstable_assistantMessageId,
  unstable_parentId: messages.at(-1).id,
});
