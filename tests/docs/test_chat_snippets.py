"""The TypeScript of the guides to the AI SDK and to the data-stream runtime runs, with the published packages."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from statecast import create_app
from tests.clients import chat, data_stream
from tests.clients.installed import CLIENTS
from tests.clients.node import need_node
from tests.clients.serving import served
from tests.docs.person import act
from tests.docs.test_ag_ui_snippets import STRIP
from tests.docs.test_client_snippets import PATIENCE, agent_of, snippets
from tests.docs.test_page import packages

__all__ = ["agent_of", "packages"]


@pytest.fixture
def module_of(tmp_path: Path, packages: Path) -> Callable[[str, str], str]:
    """Return what makes a module in JavaScript of a file of a guide."""

    def strip(guide: str, name: str) -> str:
        file = Path(name)
        text = re.sub(r'(from "\./\w+)"', r'\1.mjs"', snippets(guide)[name])
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


def test_the_chat_of_the_guide_asks_answers_approves_and_is_loaded_again(module_of: Any, agent_of: Any) -> None:
    module = module_of("ai-sdk.md", "src/chat.ts")
    with served(create_app(agent_of("ai-sdk.md"))) as url:
        with chat.Chats({"url": url, "id": "bees", "module": module}) as chats:
            chats.step("send", text="Good morning", **{"for": "idle"})
            chats.step("send", text="Some honey", **{"for": "idle"})
            chats.step("tool-output", toolName="ask_jars", output=3, **{"for": "idle"})
            chats.step("approve", approved=True, **{"for": "idle"})
            chats.step("open", chat="reloaded", loaded=True)
            chats.step("resume", chat="reloaded", **{"for": "idle"})
            report = chat.checked(chats.told())
        said = chat.agrees(report, url)
        assert chat.state_of(url, "bees")["orders"] == 3

    assert len(report.requests) == 6  # four of the chat, and two of the page that was loaded again
    assert said[1] == ("assistant", [("text", "You said: Good morning ")])
    assert said[3][1][-1] == ("text", "I have ordered 3.")
    assert chat.shown(report.chats["reloaded"]["messages"]) == said


def test_what_the_guide_says_of_stopping_stops_the_run(module_of: Any, agent_of: Any, tmp_path: Path) -> None:
    module = module_of("ai-sdk.md", "src/chat.ts")
    text = " ".join(f"word{number}" for number in range(1_000))
    with served(create_app(agent_of("ai-sdk.md"))) as url:
        with chat.Chats({"url": url, "id": "bees", "module": module}) as chats:
            chats.step("send", text=text)
            chats.step("stop", when={"text": "You said: word0 "})
        program = f'import {{ cancel }} from "{module}"; await cancel("{url}", "bees");'
        command = [need_node(), "--input-type=module", "--eval", program]
        subprocess.run(command, cwd=tmp_path, check=True, timeout=PATIENCE)
        httpx.post(f"{url}/resume", json={"threadId": "bees"})

        assert httpx.get(f"{url}/status/bees").json()["status"] == "cancelled"


#: A person in front of the page of the guide.
TALKS = """
  mount(h(page.Bees, { url }));
  await say("Good morning");
  await shows("You said: Good morning");
  await say("Some honey");
  await click("Three jars");
  await click("Approve");
  await shows("I have ordered 3.");
  await say(Array.from({ length: 1000 }, (_, number) => `word${number}`).join(" "));
  await shows("You said: word0 ");
  await click("Stop");
  const answered = () => facts.requests.findIndex(({ url }) => url.endsWith("/cancel"));
  await until(() => facts.responses[answered()]?.status === 200, 20_000, "the run to be cancelled");
"""


def test_the_page_of_the_guide_asks_answers_approves_and_stops(module_of: Any, agent_of: Any, tmp_path: Path) -> None:
    module_of("ai-sdk.md", "src/chat.ts")
    module = module_of("ai-sdk.md", "src/Bees.tsx")
    with served(create_app(agent_of("ai-sdk.md"))) as url:
        asked = act(TALKS, tmp_path, module, url, tells="facts.requests.map((one) => one.url)")
        httpx.post(f"{url}/resume", json={"threadId": "bees"})  # it ends with the run
        status = httpx.get(f"{url}/status/bees").json()["status"]
        assert chat.state_of(url, "bees")["orders"] == 3

    assert status == "cancelled"
    assert [path.removeprefix(url) for path in asked] == ["/chat/bees/stream", *["/chat"] * 5, "/cancel"]


def test_the_hook_of_the_guide_shows_runs_its_tool_and_stops(module_of: Any, agent_of: Any) -> None:
    module = module_of("data-stream-runtime.md", "src/Bees.tsx")
    text = " ".join(f"word{number}" for number in range(1_000))
    with served(create_app(agent_of("data-stream-runtime.md"))) as url:
        with data_stream.Pages({"url": url, "threadId": "bees", "module": module}) as pages:
            pages.step("append", text="Good morning", **{"for": "idle"})
            pages.step("append", text="Some honey", **{"for": "idle"})
            pages.step("append", text=text)
            pages.step("cancel", when={"text": "You said: word0 "})
            pages.step("wait", **{"for": {"heads": 5}})
            report = data_stream.checked(pages.told())
        status = httpx.get(f"{url}/status/bees").json()["status"]

    said = data_stream.shown(report.main["messages"])
    assert said[1] == ("assistant", [("text", "You said: Good morning ")])
    assert said[3][1][-1] == ("text", "I have ordered 3.")
    assert report.main["messages"][1]["metadata"]["unstable_state"] == {"answers": 1}
    assert report.requests[-1]["url"] == f"{url}/cancel"
    assert status == "cancelled"
