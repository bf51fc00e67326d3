"""The page of the guide to lists of threads, with the published packages, in a DOM: a person tries it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from statecast import create_app
from statecast.http.endpoints.client_module import BROWSER
from tests.clients.installed import CLIENTS, DRIVERS
from tests.clients.node import need_node
from tests.clients.serving import served
from tests.clients.thread_list import ListPage
from tests.docs.person import act
from tests.docs.test_ag_ui_snippets import STRIP
from tests.docs.test_client_snippets import PATIENCE, agent_of, snippets
from tests.docs.test_page import packages

__all__ = ["agent_of", "packages"]

GUIDE = "threads-and-history.md"

#: A person in front of the page of the guide, who loads it again, too.
TALKS = """
  window.prompt = globalThis.prompt = () => "Bees";
  mount(h(page.default));
  await shows("New thread");
  await type("Good morning");
  await click("Send");
  await shows("You said: Good morning");
  await shows("On good morning");
  await click("And wasps?");
  await shows("You said: And wasps?");
  await click("Good", 1);
  await click("Edit", 0);
  await settle();
  await type("Good evening", 0);
  await click("Say that instead");
  await shows("You said: Good evening");
  await shows("2 of 2");
  await click("Rename");
  await shows("Bees");
  await quiet();
  await leave();
  mount(h(page.default));
  await click("Bees");
  await shows("2 of 2");
  await shows("You said: Good evening");
  await click("Before");
  await shows("You said: And wasps?");
  await until(() => document.querySelectorAll("[data-submitted]").length === 1, 20_000, "the feedback");
  await click("Archive");
  await until(() => buttons("Bees").length === 0, 20_000, "the thread to leave the list");
  await quiet();
"""


@pytest.fixture
def module_of(tmp_path: Path, packages: Path) -> Callable[[str, str], str]:
    """Return what makes a module in JavaScript of a file of the guide, for a server at a URL."""
    shutil.copy(BROWSER / "adapters.js", tmp_path / "adapters.mjs")
    shutil.copy(BROWSER / "client.js", tmp_path)

    def strip(name: str, url: str) -> str:
        file = Path(name)
        text = re.sub(r'(from "\./\w+)"', r'\1.mjs"', snippets(GUIDE)[name])
        text = text.replace("http://127.0.0.1:8000", url)
        (tmp_path / file.name).write_text(text, encoding="utf-8")
        (tmp_path / "strip.mjs").write_text(STRIP, encoding="utf-8")
        modules, module = tmp_path / "node_modules", tmp_path / f"{file.stem}.mjs"
        modules.unlink(missing_ok=True)
        modules.symlink_to(packages)
        subprocess.run([need_node(), "strip.mjs", file.name, module.name], cwd=tmp_path, check=True, timeout=PATIENCE)
        modules.unlink()
        modules.symlink_to(CLIENTS.modules)
        return str(module)

    return strip


def test_a_person_finds_everything_again_in_the_page_of_the_guide(
    module_of: Any, agent_of: Any, tmp_path: Path
) -> None:
    with served(create_app(agent_of(GUIDE), open_list=True)) as url:
        module_of("src/threads.ts", url)
        act(TALKS, tmp_path, module_of("src/App.tsx", url), url)
        (thread,) = httpx.get(f"{url}/threads").json()["threads"]

    assert (thread["title"], thread["status"]) == ("Bees", "archived")


def test_the_hook_of_the_guide_is_all_that_a_page_needs(module_of: Any, agent_of: Any) -> None:
    with served(create_app(agent_of(GUIDE), open_list=True)) as url:
        with ListPage(url, module=module_of("src/threads.ts", url)) as page:
            page.step("append", text="Good morning", **{"for": "idle"})
            page.step("reload", thread="On good morning", **{"for": "idle"})
            report = page.told().checked()

    assert report.said == [("user", "Good morning"), ("assistant", "You said: Good morning ")]


ONE = """
const [clients, module] = process.argv.slice(1);
await import(`${clients}/page.mjs`); // before anything that looks for a window
const { createElement: h, useEffect } = await import("react");
const { createRoot } = await import("react-dom/client");
const { AssistantRuntimeProvider } = await import("@assistant-ui/react");
const { facts, noted, settle, until } = await import(`${clients}/facts.mjs`);
const { useBees } = await import(module);
let runtime;
const App = () => {
  runtime = useBees();
  useEffect(() => runtime.thread.subscribe(noted), [runtime]);
  useEffect(noted);
  return h(AssistantRuntimeProvider, { runtime });
};
createRoot(document.getElementById("root")).render(h(App));
const texts = () => runtime.thread.getState().messages.map(({ content }) => content[0]?.text);
try {
  await until(() => facts.responses[0]?.end === "complete", 20_000, "the history");
  await settle();
  runtime.thread.append("Hello");
  await until(() => texts().length === 2 && !runtime.thread.getState().isRunning, 20_000, "an answer");
} catch (error) {
  process.stderr.write(`${error.message}; it shows ${JSON.stringify([facts.console, facts.uncaught])}`);
}
process.stdout.write(JSON.stringify(texts()));
process.exit(0);
"""


def test_one_thread_needs_no_list(module_of: Any, agent_of: Any, tmp_path: Path) -> None:
    with served(create_app(agent_of(GUIDE))) as url:
        command = [need_node(), "--input-type=module", "--eval", ONE, str(DRIVERS), module_of("src/one.ts", url)]
        answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)
        state = httpx.get(f"{url}/threads/bees/state").json()["state"]

    assert answer.stderr == ""
    assert json.loads(answer.stdout) == ["Hello", "You said: Hello "]
    assert [message["role"] for message in state["messages"]] == ["user", "assistant"]
