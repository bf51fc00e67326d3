/** A form for each command that the agent declares beside the built-in ones. */
import { useMemo } from "react";
import { declaredBy } from "../agent/declared";
import { useSignal } from "../agent/signal";
import { loaded, useAgent } from "../server/agents";
import { CommandForm } from "./command-form";
import { Panel } from "./panel";

export function Commands() {
  const agent = useAgent();
  const { problem } = useSignal(loaded);
  const commands = useMemo(() => (agent === null ? null : declaredBy(agent)), [agent]);
  return (
    <Panel title="Commands" note="made from the agent's schemas" className="commands">
      {commands === null && problem !== null && <p className="empty">The commands could not be loaded: {problem}</p>}
      {commands?.length === 0 && <p className="empty">This agent declares no commands of its own.</p>}
      {commands?.map((one) => (
        <CommandForm key={one.type} declared={one} />
      ))}
    </Panel>
  );
}
