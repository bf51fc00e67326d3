"""The TypeScript of the guides for other clients runs: OpenAI's package in Node.js, and a local runtime in a page."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from statecast import AddToolResult, Agent, AgentError, Run, create_app
from tests.clients.installed import CLIENTS
from tests.clients.local_runtime import LocalRuntime
from tests.clients.node import Json, need_node
from tests.clients.serving import served
from tests.docs.pages import ROOT, load
from tests.docs.test_page import packages

__all__ = ["packages"]

PATIENCE = 60  # seconds for one program
IDLE: Json = {"do": "wait", "for": "idle"}

STRIP = """
import { readFileSync, writeFileSync } from "node:fs";
import { transformWithOxc } from "vite";
const [from, to] = process.argv.slice(2);
writeFileSync(to, (await transformWithOxc(readFileSync(from, "utf8"), from)).code);
"""


def stripped(source: str, folder: Path, packages: Path) -> Path:
    """Return a module in JavaScript, of one in TypeScript."""
    (folder / "snippet.ts").write_text(source, encoding="utf-8")
    (folder / "strip.mjs").write_text(STRIP, encoding="utf-8")
    (folder / "node_modules").symlink_to(packages)
    subprocess.run([need_node(), "strip.mjs", "snippet.ts", "snippet.mjs"], cwd=folder, check=True, timeout=PATIENCE)
    (folder / "node_modules").unlink()
    return folder / "snippet.mjs"


def snippets(guide: str) -> dict[str, str]:
    """Return the files of a guide."""
    page = load(ROOT / "docs" / "guides" / guide)
    return {block.file: block.text for block in page.blocks if block.file is not None}


@pytest.fixture
def agent_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield what returns the agent of a guide."""

    def load_agent(guide: str) -> Agent:
        (tmp_path / "my_agent.py").write_text(snippets(guide)["my_agent.py"], encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()
        agent: Agent = importlib.import_module("my_agent").agent
        return agent

    yield load_agent
    sys.modules.pop("my_agent", None)


def test_openais_package_asks_as_the_guide_says(tmp_path: Path, packages: Path, agent_of: Any) -> None:
    module = stripped(snippets("openai.md")["src/bees.ts"], tmp_path, packages)
    (tmp_path / "node_modules").symlink_to(CLIENTS.modules)
    program = f'import {{ ask }} from "{module}"; await ask("Hello", (s) => process.stdout.write(s), process.argv[1]);'
    with served(create_app(agent_of("openai.md"))) as url:
        command = [need_node(), "--input-type=module", "--eval", program, url]
        answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert (answer.stdout, answer.stderr) == ("You said: Hello ", "")


ADAPTERS = {"textAdapter": "/text", "eventsAdapter": "/sse", "jsonAdapter": "/json"}


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_adapters_of_the_guide_show_what_the_agent_said(
    tmp_path: Path, packages: Path, agent_of: Any, adapter: str
) -> None:
    module = stripped(snippets("local-runtime.md")["src/adapters.ts"], tmp_path, packages)
    with served(create_app(agent_of("local-runtime.md"))) as url:
        with LocalRuntime(url + ADAPTERS[adapter], adapter, module=str(module)) as page:
            for text in ("bees", "wasps"):
                page.step("append", text=text)
                page.step(**IDLE)
            report = page.report()

    assert (report.console, report.uncaught) == ([], [])
    assert [message["role"] for message in report.messages] == ["user", "assistant", "user", "assistant"]
    content = report.messages[-1]["content"]
    if adapter == "textAdapter":
        assert content == [{"type": "text", "text": "Let me look.\n\nThere are three."}]
    else:
        look, call, found = content
        assert (look["text"], found["text"]) == ("Let me look.", "There are three.")
        assert (call["args"], call["result"], call["isError"]) == ({"word": "wasps"}, {"found": 3}, False)


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("thread", [{}, {"threadId": "t"}], ids=["without a thread", "on a thread"])
def test_the_adapters_of_the_guide_show_failures_and_go_on_with_a_persons_answer(
    tmp_path: Path, packages: Path, adapter: str, thread: Json
) -> None:
    agent = Agent()

    @agent.on("add-message")
    async def answer(run: Run, command: Any) -> None:
        message = run.messages.assistant()
        message.append_text("One moment.")
        if command.message.text == "fail":
            raise AgentError("There are no bees.")
        message.add_tool_call("ask_user", {"question": "Which?"})

    @agent.on(AddToolResult)
    async def settle(run: Run, command: AddToolResult) -> None:
        run.messages.last_assistant().append_text(f"So {command.result}.")

    module = stripped(snippets("local-runtime.md")["src/adapters.ts"], tmp_path, packages)
    settings: Json = {"module": str(module), "humanTools": ["ask_user"], "more": thread}
    with served(create_app(agent)) as url:
        with LocalRuntime(url + ADAPTERS[adapter], adapter, **settings) as page:
            page.step("append", text="fail")
            page.step(**IDLE)
            failed = page.told().messages[-1]
            page.step("append", text="ask")
            page.step(**IDLE)
            if adapter != "textAdapter":  # which shows no calls
                page.step("tool-result", result="honey bees")
                page.step(**IDLE)
            last = page.report().messages[-1]

    assert failed["status"]["error"]["message"] == "There are no bees."
    if adapter == "textAdapter":
        assert last["content"] == [{"type": "text", "text": "One moment."}]
    else:
        assert [part.get("text") or part["result"] for part in last["content"]] == [
            "One moment.",
            "honey bees",
            "So honey bees.",
        ]
        assert last["status"]["type"] == "complete"
