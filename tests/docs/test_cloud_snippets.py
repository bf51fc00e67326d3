"""The page of the guide to Assistant Cloud's client runs, with the published packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from statecast import create_app
from tests.clients.serving import served
from tests.docs.person import act
from tests.docs.test_chat_snippets import agent_of, module_of, packages

__all__ = ["agent_of", "module_of", "packages"]

TOKEN = "JSON.parse(localStorage.getItem(`aui:refresh_token:${url}`)).token"

#: A person who talks to the agent of the guide twice, and comes back to it.
TALKS = """
  const open = () => mount(h(page.Bees, { cloud: page.cloudOf(url) }));
  open();
  await say("Good morning");
  await shows("You said: Good morning");
  await shows("On good morning");
  await click("New chat");
  await hides("You said");
  await say("Some honey");
  await shows("You said: Some honey");
  await shows("On some honey");
  await leave();
  open();
  await click("On good morning");
  await shows("You said: Good morning");
  await click("On some honey");
  await shows("You said: Some honey");
  await click("Delete");
  await hides("On some honey");
"""


def test_the_page_of_the_guide_finds_its_threads_again(module_of: Any, agent_of: Any, tmp_path: Path) -> None:
    module = module_of("assistant-cloud.md", "src/Bees.tsx")
    with served(create_app(agent_of("assistant-cloud.md"), cloud=True)) as url:
        token = act(TALKS, tmp_path, module, url, tells=TOKEN)
        tokens = httpx.post(f"{url}/v1/auth/tokens/refresh", json={"refresh_token": token}).json()
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        (thread,) = httpx.get(f"{url}/threads", headers=headers).json()["threads"]
        state = httpx.get(f"{url}/threads/{thread['remoteId']}/state", headers=headers).json()["state"]

    assert thread["title"] == "On good morning"
    assert [message["role"] for message in state["messages"]] == ["user", "assistant"]
