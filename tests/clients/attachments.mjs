// Attach files with an adapter, as assistant-ui's composer does, and write down what came of each, as JSON.
//
// Settings come in as the first argument: `url`, `files` (`{name, type, text, times?, remove?}`), and `module`, which exports
// `attachmentsAt(url)`; without it the adapter is that of the published cloud client.

import { AssistantCloud } from "assistant-cloud";
import { CloudFileAttachmentAdapter } from "@assistant-ui/react";

const { url, files, module } = JSON.parse(process.argv[2]);

console.error = () => {}; // the adapter says there what its status says as well

const adapter = module
  ? (await import(module)).attachmentsAt(url)
  : new CloudFileAttachmentAdapter(new AssistantCloud({ baseUrl: url, anonymous: true }));

/** Every status that an attachment has, and the attachment in the end. */
const added = async (file) => {
  const statuses = [];
  let last;
  const adding = adapter.add({ file });
  for await (last of Symbol.asyncIterator in adding ? adding : [await adding]) statuses.push(last.status);
  return { statuses, last };
};

const attached = async ({ name, type, text, times = 1, remove }) => {
  const { statuses, last } = await added(new File([text.repeat(times)], name, { type }));
  if (last.status.type === "incomplete") return { statuses };
  const complete = remove ? undefined : await adapter.send(last);
  if (remove) await adapter.remove(last);
  const { file, ...attachment } = complete ?? last;
  return { statuses, attachment };
};

const told = [];
for (const file of files) told.push(await attached(file));
process.stdout.write(JSON.stringify(told));
