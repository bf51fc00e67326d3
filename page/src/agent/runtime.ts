/** The connection between this page and the agent. */
import { useAssistantTransportRuntime, type AssistantRuntime } from "@assistant-ui/react";
import { converter } from "./converter";
import { markAccepted, markSent, wasAccepted } from "./delivery";
import { fail, failure, giveBack } from "./failure";
import { behind, latestRun, noteRun } from "./following";
import { follow } from "./operations";
import type { DemoState } from "./state";
import { showInAddress, threadId } from "./thread";

/** One object for good: the hook builds its runtime anew for each it is given. */
type Options = Parameters<typeof useAssistantTransportRuntime<DemoState>>[0];

/** Whether the open request carries commands; one without only asks where the thread stands. */
let commanding = false;

/**
 * An aborted request is all that the server would see of a stop, and runs outlive their requests: so ask. What the run
 * still wrote until it stopped, the page reads afterwards.
 */
const cancel = async (): Promise<void> => {
  const runId = latestRun();
  try {
    const response = await fetch("cancel", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ threadId, ...(runId !== null && { runId }) }),
    });
    if (!response.ok) throw new Error(`Status ${response.status}: ${await response.text()}`);
  } catch (error) {
    fail(error as Error);
    return;
  }
  behind.set(true);
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
    commanding = body.commands.length > 0;
    if (commanding || failure.get()?.kind === "lost") failure.set(null);
    noteRun(null, false);
    markSent(body.commands);
    return body;
  },
  onResponse: (response) => {
    if (!response.ok) return;
    markAccepted();
    showInAddress();
    noteRun(response.headers.get("Statecast-Run-Id"), commanding);
    void follow(response.clone());
  },
  onError: (error, { commands }) => {
    fail(error);
    noteRun(null, false);
    giveBack(commands.filter((command) => !wasAccepted(command)));
  },
  onCancel: ({ commands, error }) => {
    giveBack(commands.filter((command) => !wasAccepted(command)));
    if (!error) void cancel();
  },
};

export const useAgentRuntime = (): AssistantRuntime => useAssistantTransportRuntime<DemoState>(options);
