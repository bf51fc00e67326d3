"""The page of the guide to Assistant Cloud's client runs, with the published packages."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx

from statecast import create_app
from tests.clients.installed import HERE
from tests.clients.node import need_node
from tests.clients.serving import served
from tests.docs.test_chat_snippets import agent_of, module_of, packages
from tests.docs.test_client_snippets import PATIENCE

__all__ = ["agent_of", "module_of", "packages"]

#: A person in front of the page of the guide, who comes back to it.
PERSON = """
const [clients, module, url] = process.argv.slice(1);
await import(`${clients}/page.mjs`); // before anything that looks for a window
const { createElement: h } = await import("react");
const { createRoot } = await import("react-dom/client");
const { facts, noted, settle, until } = await import(`${clients}/facts.mjs`);
const { Bees, cloudOf } = await import(module);
new window.MutationObserver(noted).observe(document.body, { childList: true, characterData: true, subtree: true });
const open = () => {
  const root = createRoot(document.getElementById("root"));
  root.render(h(Bees, { cloud: cloudOf(url) }));
  return root;
};
const shows = (text) => until(() => document.body.textContent.includes(text), 20_000, text);
const hides = (text) => until(() => !document.body.textContent.includes(text), 20_000, `no ${text}`);
const button = (label) => [...document.querySelectorAll("button")].find((one) => one.textContent === label);
const click = async (label) => {
  await until(() => button(label) !== undefined && !button(label).disabled, 20_000, label);
  button(label).click();
  await settle();
};
const say = async (text) => {
  await until(() => document.querySelector("textarea"), 20_000, "the composer");
  const input = document.querySelector("textarea");
  Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(input, text);
  input.dispatchEvent(new window.Event("input", { bubbles: true }));
  await settle();
  await click("Send");
};
try {
  const first = open();
  await say("Good morning");
  await shows("You said: Good morning");
  await shows("On good morning");
  await click("New chat");
  await hides("You said");
  await say("Some honey");
  await shows("You said: Some honey");
  await shows("On some honey");
  first.unmount();
  open();
  await click("On good morning");
  await shows("You said: Good morning");
  await click("On some honey");
  await shows("You said: Some honey");
  await click("Delete");
  await hides("On some honey");
} catch (error) {
  process.stderr.write(`${error.message}; it shows ${document.body.textContent}`); // the page catches what nobody does
}
const tokens = JSON.parse(localStorage.getItem(`aui:refresh_token:${url}`));
process.stdout.write(JSON.stringify([facts.console, facts.uncaught, tokens.token]));
process.exit(0);
"""


def test_the_page_of_the_guide_finds_its_threads_again(module_of: Any, agent_of: Any, tmp_path: Path) -> None:
    module = module_of("assistant-cloud.md", "src/Bees.tsx")
    with served(create_app(agent_of("assistant-cloud.md"), cloud=True)) as url:
        command = [need_node(), "--input-type=module", "--eval", PERSON, str(HERE), module, url]
        answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert answer.stderr == ""
        console, uncaught, token = json.loads(answer.stdout)
        tokens = httpx.post(f"{url}/v1/auth/tokens/refresh", json={"refresh_token": token}).json()
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        (thread,) = httpx.get(f"{url}/threads", headers=headers).json()["threads"]
        state = httpx.get(f"{url}/threads/{thread['remoteId']}/state", headers=headers).json()["state"]

    assert (console, uncaught, thread["title"]) == ([], [], "On good morning")
    assert [message["role"] for message in state["messages"]] == ["user", "assistant"]
