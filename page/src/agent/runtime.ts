/** The connection between this page and the agent. */
import { useAssistantTransportRuntime, type AssistantRuntime } from "@assistant-ui/react";
import { converter } from "./converter";
import { markAccepted, markSent, wasAccepted } from "./delivery";
import { fail, failure, giveBack, isLoss } from "./failure";
import { asking, follow, lostTouch, missed, reading, rested, runOnScreen } from "./following";
import type { DemoState } from "./state";
import { showInAddress, threadId } from "./thread";

/** One object for good: the hook builds its runtime anew for each it is given. */
type Options = Parameters<typeof useAssistantTransportRuntime<DemoState>>[0];

/**
 * An aborted request is all that the server would see of a stop, and runs outlive their requests: so ask. What the run
 * still writes until it stops, the page reads afterwards.
 */
const cancel = async (): Promise<void> => {
  const runId = runOnScreen();
  try {
    const response = await fetch("cancel", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ threadId, ...(runId !== null && { runId }) }),
    });
    if (!response.ok) throw new Error(`Status ${response.status}: ${await response.text()}`);
    missed();
  } catch (error) {
    if (isLoss(error as Error)) lostTouch();
    else fail(error as Error);
  }
};

const options: Options = {
  initialState: null,
  protocol: "assistant-transport",
  api: "assistant?protocol=assistant-transport",
  resumeApi: "resume?protocol=assistant-transport",
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
    void follow(response.headers.get("Statecast-Cursor"));
  },
  onError: (error, { commands }) => {
    if (isLoss(error)) lostTouch();
    else fail(error);
    giveBack(commands.filter((command) => !wasAccepted(command)));
  },
  onCancel: ({ commands, error }) => {
    giveBack(commands.filter((command) => !wasAccepted(command)));
    if (!error) void cancel();
  },
  onFinish: rested,
};

export const useAgentRuntime = (): AssistantRuntime => useAssistantTransportRuntime<DemoState>(options);
