/** A form for each command that the agent declares beside the built-in ones. */
import { useEffect, useState } from "react";
import { loadCommands, type Declared } from "../agent/declared";
import { CommandForm } from "./command-form";
import { Panel } from "./panel";

type Loaded = { readonly commands: readonly Declared[] } | { readonly problem: string } | null;

export function Commands() {
  const [loaded, setLoaded] = useState<Loaded>(null);
  useEffect(() => {
    let gone = false;
    const settle = (result: Loaded): void => {
      if (!gone) setLoaded(result);
    };
    loadCommands().then(
      (commands) => settle({ commands }),
      (error: unknown) => settle({ problem: error instanceof Error ? error.message : String(error) }),
    );
    return () => {
      gone = true;
    };
  }, []);
  return (
    <Panel title="Commands" note="made from the agent's schemas" className="commands">
      {loaded && "problem" in loaded && <p className="empty">The commands could not be loaded: {loaded.problem}</p>}
      {loaded && "commands" in loaded && loaded.commands.length === 0 && (
        <p className="empty">This agent declares no commands of its own.</p>
      )}
      {loaded && "commands" in loaded && loaded.commands.map((one) => <CommandForm key={one.type} declared={one} />)}
    </Panel>
  );
}
