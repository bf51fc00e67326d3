"""The TypeScript of the guide to AG-UI runs: its client in Node.js, and its hook in a page."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from statecast import create_app
from tests.clients.ag_ui import shown as client_shows
from tests.clients.ag_ui_page import Page, checked, shown
from tests.clients.installed import CLIENTS
from tests.clients.node import need_node
from tests.clients.serving import served
from tests.docs.test_client_snippets import PATIENCE, agent_of, snippets
from tests.docs.test_page import packages

__all__ = ["agent_of", "packages"]

STRIP = """
import { readFileSync, writeFileSync } from "node:fs";
import { transformWithOxc } from "vite";
const [from, to] = process.argv.slice(2);
writeFileSync(to, (await transformWithOxc(readFileSync(from, "utf8"), from, { jsx: { runtime: "automatic" } })).code);
"""


@pytest.fixture
def module_of(tmp_path: Path, packages: Path) -> Any:
    """Return what makes a module in JavaScript of a file of the guide."""

    def strip(name: str) -> Path:
        file = Path(name).name
        (tmp_path / file).write_text(snippets("ag-ui.md")[name], encoding="utf-8")
        (tmp_path / "strip.mjs").write_text(STRIP, encoding="utf-8")
        modules = tmp_path / "node_modules"
        modules.symlink_to(packages)
        module = tmp_path / "module.mjs"
        subprocess.run([need_node(), "strip.mjs", file, module.name], cwd=tmp_path, check=True, timeout=PATIENCE)
        modules.unlink()
        modules.symlink_to(CLIENTS.modules)
        return module

    return strip


@pytest.mark.parametrize(
    ("text", "said"), [("Good morning", "You said: Good morning "), ("Some honey", "I have ordered 3.")]
)
def test_the_client_of_the_guide_asks_and_answers(
    tmp_path: Path, module_of: Any, agent_of: Any, text: str, said: str
) -> None:
    module = module_of("src/bees.ts")
    program = f'import {{ ask }} from "{module}"; console.log(JSON.stringify(await ask(...process.argv.slice(1))));'
    with served(create_app(agent_of("ag-ui.md"))) as url:
        command = [need_node(), "--input-type=module", "--eval", program, text, "3", url]
        answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert answer.stderr == ""
    assert json.loads(answer.stdout) == {"said": said, "answers": 1}


def test_the_hook_of_the_guide_shows_and_stops(module_of: Any, agent_of: Any) -> None:
    module = module_of("src/Bees.tsx")
    text = " ".join(f"word{number}" for number in range(1_000))
    with served(create_app(agent_of("ag-ui.md"))) as url:
        with Page({"url": url, "threadId": "bees", "module": str(module)}) as page:
            page.step("append", text="Good morning", **{"for": "idle"})
            page.step("append", text=text)
            page.step("wait", **{"for": {"text": "word1 "}})
            page.step("cancel", when={"state": {"answers": 2}})
            page.step("wait", **{"for": {"heads": 3}})
            report = checked(page.told())
        status = httpx.get(f"{url}/status/bees").json()["status"]

    assert shown(report.messages)[1] == ("assistant", [("text", "You said: Good morning ")])
    assert report.state == {"answers": 2}
    assert report.requests[-1]["url"] == f"{url}/cancel"
    assert status == "cancelled"


def test_copilotkit_joins_asks_and_approves_as_the_guide_says(tmp_path: Path, module_of: Any, agent_of: Any) -> None:
    module = module_of("src/kit.ts")
    text = module.read_text("utf-8").replace('"@ag-ui/client"', '"ag-ui-client-0"')  # the version that it asks for
    module.write_text(text, "utf-8")
    program = f"""
import {{ converse }} from "{module}";
const ask = async (question) => (console.log(question), question.startsWith("How many") ? "3" : "yes");
const [url, ...texts] = process.argv.slice(1);
for (const text of texts) console.log(JSON.stringify(await converse(text, url, ask)));
"""
    with served(create_app(agent_of("ag-ui.md"))) as url:
        command = [need_node(), "--input-type=module", "--eval", program, url, "Some honey", "Thank you"]
        answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert answer.stderr == ""
    *asked, first, second = answer.stdout.splitlines()
    assert asked == ["How many jars? At least 1.", "Order 3?"]
    assert (json.loads(first)["messages"][-1]["content"], json.loads(first)["state"]) == (
        "I have ordered 3.",
        {"answers": 1},
    )
    assert client_shows(json.loads(second)["messages"]) == [
        ("user", [("text", "Some honey")]),
        (
            "assistant",
            [
                ("tool-call", "ask_jars", {"least": 1}, 3, False),
                ("tool-call", "approval", {"question": "Order 3?"}, {"approved": True}, False),
                ("text", "I have ordered 3."),
            ],
        ),
        ("user", [("text", "Thank you")]),
        ("assistant", [("text", "You said: Thank you ")]),
    ]
