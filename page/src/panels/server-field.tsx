/** Which server the page talks to, and a field for another one. */
import type { SyntheticEvent } from "react";
import { connected } from "../agent/following";
import { useSignal } from "../agent/signal";
import { isHome, pageOf, server } from "../server/address";
import { Popover } from "./popover";

export function ServerField() {
  const open = useSignal(connected);
  const submit = (event: SyntheticEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const field = event.currentTarget.elements.namedItem("server") as HTMLInputElement;
    const page = pageOf(field.value);
    if (page !== null) return location.assign(page);
    field.setCustomValidity("Expected an address, such as http://127.0.0.1:8000");
    field.reportValidity();
  };
  const host = server.replace(/^https?:\/\//, "");
  return (
    <Popover
      className="server"
      label={<span className="server-name">{host}</span>}
      title={`Server: ${server}, ${open ? "connected" : "not connected"}`}
      testId="server"
      data-connected={open}
    >
      <form className="popover-form" onSubmit={submit}>
        <label htmlFor="server-address">Server</label>
        <input
          id="server-address"
          name="server"
          className="input"
          data-testid="server-address"
          defaultValue={isHome ? "" : server}
          placeholder={server}
          onInput={({ currentTarget }) => currentTarget.setCustomValidity("")}
          inputMode="url"
          autoComplete="off"
          spellCheck={false}
        />
        <p className="hint">
          The address of any Statecast server. It has to allow this page: start it with{" "}
          <code>--cors-origin {location.origin}</code>. Leave the field empty for the server of this page.
        </p>
        <button type="submit" className="button small" data-testid="server-connect">
          Connect
        </button>
      </form>
    </Popover>
  );
}
