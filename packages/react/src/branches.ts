/**
 * The tree of messages that assistant-ui's branch picker shows.
 *
 * An agent that keeps branches has them in its state under `branches`, each with the id of the message above it; those of the
 * conversation itself may be without their message. Where it keeps none, the tree is one branch.
 */
import type { ExportedMessageRepository, ThreadMessage } from "@assistant-ui/react";
import type { Branch, StoredMessage } from "statecast/react.js";
import { convert, type Shown } from "./messages";

type Node = { readonly id: string; readonly parentId: string | null; readonly message: StoredMessage | null };

export class Tree {
  /** Of the time before, oldest first. */
  #last: readonly Node[] = [];

  /**
   * Return all messages, parents first.
   *
   * What an edit drops is missing from the state until its run has noted it. It stays meanwhile, or it would come back as the
   * newest branch.
   *
   * @param branches What the agent keeps; undefined if it keeps none.
   * @param isRunning Whether a run goes on, or commands are on their way to one.
   */
  repositoryOf(shown: readonly Shown[], branches: readonly Branch[] | undefined, isRunning: boolean): ExportedMessageRepository {
    const before = branches !== undefined && isRunning ? this.#last : [];
    const nodes = new Map<string, Node>(before.map((node) => [node.id, node]));
    for (const { id, parentId, message } of branches ?? []) {
      nodes.set(id, { id, parentId, message: message ?? nodes.get(id)?.message ?? null });
    }
    const own = new Map<string, ThreadMessage>();
    shown.forEach(({ message, stored }, index) => {
      const parentId = shown[index - 1]?.message.id ?? null;
      own.set(message.id, message);
      nodes.set(message.id, { id: message.id, parentId, message: stored });
    });
    this.#last = [...nodes.values()];
    const children = new Map<string | null, Node[]>();
    for (const node of nodes.values()) {
      const siblings = children.get(node.parentId);
      if (siblings) siblings.push(node);
      else children.set(node.parentId, [node]);
    }
    const messages: ExportedMessageRepository["messages"] = [];
    const stack = [...(children.get(null) ?? [])].reverse();
    for (let node = stack.pop(); node; node = stack.pop()) {
      if (!node.message) continue;
      messages.push({ message: own.get(node.id) ?? convert(node.message, messages.length), parentId: node.parentId });
      stack.push(...[...(children.get(node.id) ?? [])].reverse());
    }
    return { headId: shown.at(-1)?.message.id ?? null, messages };
  }
}

/** Return the branches of a state. */
export const branchesOf = (state: unknown): readonly Branch[] => {
  const branches = (state as { readonly branches?: unknown } | null)?.branches;
  const isBranch = (one: unknown): one is Branch => typeof (one as Branch | null)?.id === "string";
  return Array.isArray(branches) ? branches.filter(isBranch) : [];
};
