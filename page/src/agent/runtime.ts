/** The connection between this page and the agent. */
import { useAssistantTransportRuntime, type AssistantRuntime } from "@assistant-ui/react";
import { converter } from "./converter";
import { markAccepted, markSent, wasAccepted } from "./delivery";
import { fail, failure, giveBack, isLoss } from "./failure";
import { asking, cancel, follow, lostTouch, missed, reading, rested } from "./following";
import type { DemoState } from "./state";
import { at } from "../server/address";
import { showInAddress, threadId } from "./thread";

/** One object for good: the hook builds its runtime anew for each it is given. */
type Options = Parameters<typeof useAssistantTransportRuntime<DemoState>>[0];

/**
 * An aborted request is all that the server would see of a stop, and runs outlive their requests: so ask. What the run
 * still writes until it stops, the page reads afterwards.
 */
const stop = (): void => void cancel().then(missed, fail);

const options: Options = {
  initialState: null,
  protocol: "assistant-transport",
  api: at("assistant?protocol=assistant-transport"),
  resumeApi: at("resume?protocol=assistant-transport"),
  capabilities: { edit: true },
  headers: {},
  body: { threadId },
  converter,
  prepareSendCommandsRequest: (body) => {
    if (body.commands.length > 0) failure.set(null);
    asking();
    markSent(body.commands);
    return body;
  },
  onResponse: (response) => {
    if (!response.ok) return;
    markAccepted();
    showInAddress();
    reading(response.headers.get("Statecast-Run-Id"));
    follow();
  },
  onError: (error, { commands }) => {
    if (isLoss(error)) lostTouch();
    else fail(error);
    giveBack(commands.filter((command) => !wasAccepted(command)));
  },
  onCancel: ({ commands, error }) => {
    giveBack(commands.filter((command) => !wasAccepted(command)));
    if (!error) stop();
  },
  onFinish: rested,
};

export const useAgentRuntime = (): AssistantRuntime => useAssistantTransportRuntime<DemoState>(options);
