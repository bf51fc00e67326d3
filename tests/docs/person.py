"""A person in front of the page of a guide: a DOM, the page's own module, and what is clicked and read in it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.clients.installed import DRIVERS
from tests.clients.node import need_node

__all__ = ["act"]

PATIENCE = 60  #: seconds for all that a person does

#: What a person can do. `page` is the page's module; `mount` shows an element of it, in place of the one before.
_ABLE = """
const [clients, module, url] = process.argv.slice(1);
await import(`${clients}/page.mjs`); // before anything that looks for a window
const { createElement: h } = await import("react");
const { createRoot } = await import("react-dom/client");
const { facts, noted, settle, until } = await import(`${clients}/facts.mjs`);
const page = await import(module);
const changes = { childList: true, characterData: true, subtree: true, attributes: true };
new window.MutationObserver(noted).observe(document.body, changes);
let root;
const leave = async () => {
  root.unmount();
  await settle();
};
const mount = (element) => {
  root = createRoot(document.getElementById("root"));
  root.render(element);
};
const shows = (text) => until(() => document.body.textContent.includes(text), 20_000, text);
const hides = (text) => until(() => !document.body.textContent.includes(text), 20_000, `no ${text}`);
const buttons = (label) => [...document.querySelectorAll("button")].filter((one) => one.textContent === label);
const click = async (label, which = 0) => {
  await until(() => buttons(label).at(which)?.disabled === false, 20_000, label);
  await settle();
  buttons(label).at(which).click();
  await settle();
};
const type = async (text, which = -1) => {
  const inputs = () => [...document.querySelectorAll("input:not([type=file]), textarea:not([aria-hidden])")];
  await until(() => inputs().length > 0, 20_000, "where to write");
  const input = inputs().at(which);
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(input), "value").set.call(input, text);
  input.dispatchEvent(new window.Event("input", { bubbles: true }));
  await settle();
};
const say = async (text) => {
  await until(() => buttons("Send").length > 0, 20_000, "the last answer");
  await type(text);
  await click("Send");
};
const quiet = () => until(() => facts.responses.every(({ end }) => end !== "open"), 20_000, "all that was asked for");
"""


def act(script: str, folder: Path, module: str, url: str, *, tells: str = "null", own: str | None = None) -> Any:
    """Do what a script says, check that the page had nothing to complain of, and return what `tells` is at the end.

    Args:
        script: JavaScript, of what a person can do, see above.
        folder: Where to do it.
        module: The page's.
        url: The server's.
        tells: An expression.
        own: What a complaint contains that is the client's own; None if there is none.
    """
    program = f"""{_ABLE}
try {{
{script}
}} catch (error) {{
  // Written here, since the page catches what nobody else does.
  process.stderr.write(`${{error.message}}; it shows ${{document.body.innerHTML}}`);
}}
process.stdout.write(JSON.stringify([facts.console, facts.uncaught, {tells}]));
process.exit(0);
"""
    command = [need_node(), "--input-type=module", "--eval", program, str(DRIVERS), module, url]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert not answer.stderr, answer.stderr
    console, uncaught, told = json.loads(answer.stdout)
    complaints = [line for line in console + uncaught if own is None or own not in str(line)]
    assert not complaints, complaints
    return told
