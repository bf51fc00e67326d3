/** A second client beside the first, in another protocol; and what a reload or a restart of the server takes away. */
import { useEffect, useState } from "react";
import { useSignal } from "../agent/signal";
import { inAddress } from "../agent/thread";
import { extent, useRunId } from "../log/log";
import { PROTOCOLS, type Protocol } from "../log/protocols";
import { listen, NOTHING, type Heard } from "../log/second-client";
import { Panel } from "./panel";
import { useEnd } from "./scroll";
import { Trials } from "./trials";
import { bytes, count } from "./times";

/** Characters of a frame that a row shows. */
const FRAME_LENGTH = 400;

const CONNECTIONS = { connecting: "connecting…", open: "reading", ended: "its run has ended", failed: "failed" } as const;

function SecondClient({ protocol }: { readonly protocol: Protocol }) {
  const [heard, setHeard] = useState<Heard>(NOTHING);
  const runId = useRunId();
  const opened = protocol.follows === "run" ? runId : "";
  const list = useEnd<HTMLOListElement>(heard);
  useEffect(() => listen(protocol, setHeard), [protocol, opened]);
  const { frames, total, bytes: size, answer, connection, problem } = heard;
  return (
    <div className="second-client" data-testid="second-client" data-connection={connection}>
      <p className="note">
        <code>{protocol.request}</code>
      </p>
      <div className="second-answer">
        <h3>Its answer</h3>
        <p data-testid="second-answer">{answer || "None yet."}</p>
      </div>
      <h3>
        Its frames <small>{`${count(total, "frame")}, ${bytes(size)}, ${CONNECTIONS[connection]}`}</small>
      </h3>
      {problem !== null && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      <ol {...list} role="list" className="frames" data-testid="second-frames" tabIndex={0} aria-label="Frames">
        {frames.map(({ number, text }) => (
          <li key={number}>
            {text.length > FRAME_LENGTH ? `${text.slice(0, FRAME_LENGTH)}… (${bytes(text.length)})` : text}
          </li>
        ))}
      </ol>
    </div>
  );
}

export function Clients() {
  const [name, setName] = useState("");
  const begun = useSignal(extent).count > 0 && inAddress();
  const protocol = PROTOCOLS.find((one) => one.name === name);
  return (
    <Panel title="Clients" note="the same thread, other protocols" className="clients">
      <Trials />
      <fieldset className="choices">
        <legend>Open a second client beside the chat</legend>
        {PROTOCOLS.map((one) => (
          <button
            key={one.name}
            type="button"
            className="choice"
            aria-pressed={one.name === name}
            disabled={!begun}
            data-testid={`client-${one.name}`}
            onClick={() => setName(one.name === name ? "" : one.name)}
          >
            {one.label}
          </button>
        ))}
        {!begun && <p className="hint">The thread begins with the first message.</p>}
      </fieldset>
      {protocol && begun && <SecondClient key={protocol.name} protocol={protocol} />}
    </Panel>
  );
}
