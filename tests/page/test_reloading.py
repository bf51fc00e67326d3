"""The page of `statecast dev` while its agent is being written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.clients.serving import Restarting

from .demo_page import AGENT, Page, form, part

Open = Callable[..., Page]

AGENT_CODE = """
from statecast import AddMessage, Agent

agent = Agent("mine")

@agent.on(AddMessage)
async def answer(run, command):
    run.messages.assistant().append_text("Hello.")
"""
COMMAND = """
@agent.on("buy-tea")
async def buy_tea(run, command):
    run.state["tea"] = True
"""


def test_code_that_does_not_load_is_shown_with_its_line_until_it_does(
    open_page: Open, chromium: str, tmp_path: Path
) -> None:
    code = tmp_path / "my_agent.py"
    code.write_text(AGENT_CODE)
    with Restarting("dev", "my_agent.py", folder=tmp_path) as server, open_page(url=f"{server.url}/") as page:
        page.expect_complaint("ERR_|status of 503")
        page.say("Hello")
        page.wait(f"{AGENT} .text")
        page.rest()
        code.write_text(f"{AGENT_CODE}\nnobody.knows()\n")
        page.wait(
            f"{part('run-error')}[data-kind='unloaded']", text=f"my_agent.py, line {AGENT_CODE.count(chr(10)) + 2}"
        )
        page.rest("failed")
        page.wait(part("run-error"), text="NameError")
        page.do("tab", name="second", url=f"{server.url}/")  # it can be opened meanwhile
        page.wait(part("run-error"), text="NameError")
        page.shoot("code-does-not-load")
        code.write_text(f"{AGENT_CODE}{COMMAND}")
        page.wait(part("run-error"), state="detached")
        page.do("tab", name="first")
        page.rest()
        page.open("commands")
        page.wait(form("buy-tea"))
