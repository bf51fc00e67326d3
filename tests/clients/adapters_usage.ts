// How the types of `adapters.js` are used, right and wrong: checked by test_usages.py.

import {
  useAui,
  useLocalRuntime,
  useRemoteThreadListRuntime,
  type AssistantRuntime,
  type AttachmentAdapter,
  type ChatModelAdapter,
  type FeedbackAdapter,
  type GenericThreadHistoryAdapter,
  type LocalRuntimeOptions,
  type MessageFormatAdapter,
  type RemoteThreadListAdapter,
  type RuntimeAdapters,
  type SuggestionAdapter,
  type ThreadHistoryAdapter,
} from "@assistant-ui/react";
import { createAdapters, type Adapters, type Thread } from "./adapters.js";

const adapters: Adapters = createAdapters({
  url: "http://127.0.0.1:8000",
  headers: async () => ({ authorization: "Bearer …" }),
  fetch: (input, init) => fetch(input, { ...init, credentials: "include" }),
  patience: 5_000,
  accept: "image/*",
  messages: (state) => state.chat.messages,
  onError: (error) => console.warn(error),
});

const { adapter, useChatModel } = adapters.hooks(useAui);
const useThread = (): AssistantRuntime => useLocalRuntime(useChatModel());
export const useThreads = (): AssistantRuntime => useRemoteThreadListRuntime({ adapter, runtimeHook: useThread });

export const threadList: RemoteThreadListAdapter = adapters.threadList;
export const history: ThreadHistoryAdapter = adapters.history("t");
export const attachments: AttachmentAdapter = adapters.attachments;
export const feedback: FeedbackAdapter = adapters.feedback("t");
export const suggestion: SuggestionAdapter = adapters.suggestions("t");
export const chatModel: ChatModelAdapter = adapters.chatModel("t");
export const ofOne: LocalRuntimeOptions["adapters"] = adapters.thread("t");

/** What a page gives each thread, where it wants to choose. */
export const own: RemoteThreadListAdapter = {
  ...adapters.threadList,
  unstable_useAdapters: function useAdapters(): RuntimeAdapters {
    const aui = useAui();
    const item: Thread = () => aui.threadListItem;
    return { history: adapters.history(item), feedback: adapters.feedback(item) };
  },
};

export const formatted = <Message>(
  format: MessageFormatAdapter<Message, Record<string, unknown>>,
): GenericThreadHistoryAdapter<Message> => adapters.history("t").withFormat(format);

export async function rename(): Promise<string | undefined> {
  await threadList.rename("t", "Bees");
  await adapters.threadList.updateCustom("t", { colour: "red" });
  for await (const list of adapters.suggestions("t").generate({ messages: [] })) console.log(list[0]?.prompt);
  const { threads, nextCursor } = await adapters.threadList.list({ after: "…" });
  return threads[0]?.title ?? nextCursor;
}

// @ts-expect-error  a thread is an id, or what returns an item of the list
adapters.history({ remoteId: "t" });
// @ts-expect-error  there is no such option
createAdapters({ baseUrl: "" });
// @ts-expect-error  patience is a number
createAdapters({ patience: "5 s" });
// @ts-expect-error  what is made is not to be changed
adapters.threadList = threadList;
// @ts-expect-error  titles are texts
void threadList.rename("t", 7);
