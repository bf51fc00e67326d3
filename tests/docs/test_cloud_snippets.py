"""The page of the guide to Assistant Cloud's client runs, with the published packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from statecast import create_app
from tests.clients.packages import CLIENTS
from tests.clients.serving import served
from tests.clients.versions import DELETED
from tests.docs.person import act
from tests.docs.test_chat_snippets import agent_of, module_of, packages

__all__ = ["agent_of", "module_of", "packages"]

TOKEN = "localStorage.getItem(`refresh_token:${url}`)"

#: A person who talks to the agent of the guide in two threads, switches between them, and comes back to them.
TALKS = """
  const open = () => mount(h(page.Bees, { options: page.optionsOf(url) }));
  open();
  await say("Good morning");
  await shows("You said: Good morning");
  await shows("On good morning");
  await click("New chat");
  await hides("You said");
  await say("Some honey");
  await shows("You said: Some honey");
  await shows("On some honey");
  await click("On good morning");
  await shows("You said: Good morning");
  await say("And again");
  await shows("You said: And again");
  await quiet();
  await leave();
  open();
  await click("On some honey");
  await shows("You said: Some honey");
  await click("On good morning");
  await shows("You said: And again");
  await say("Once more");
  await shows("You said: Once more");
  await click("Delete", 1); // the thread of the last message comes first
  await hides("On some honey");
  await quiet();
"""


if CLIENTS.newest:  # the hook takes a cloud since @assistant-ui/core 0.3.35, so this is for `make test-newest`

    def test_the_page_of_the_guide_finds_its_threads_again(module_of: Any, agent_of: Any, tmp_path: Path) -> None:
        module_of("assistant-cloud.md", "src/token.ts")
        module = module_of("assistant-cloud.md", "src/Bees.tsx")
        with served(create_app(agent_of("assistant-cloud.md"), cloud=True)) as url:
            token = act(TALKS, tmp_path, module, url, tells=TOKEN, own=DELETED)
            tokens = httpx.post(f"{url}/v1/auth/tokens/refresh", json={"refresh_token": token}).json()
            headers = {"Authorization": f"Bearer {tokens['access_token']}"}
            (thread,) = httpx.get(f"{url}/threads", headers=headers).json()["threads"]
            state = httpx.get(f"{url}/threads/{thread['remoteId']}/state", headers=headers).json()["state"]
            listed = httpx.get(f"{url}/v1/threads/{thread['remoteId']}/messages", headers=headers).json()["messages"]

        assert thread["title"] == "On good morning"
        said = [(message["role"], message["parts"][0]["text"]) for message in state["messages"]]
        assert said == [
            ("user", "Good morning"),
            ("assistant", "You said: Good morning "),
            ("user", "And again"),
            ("assistant", "You said: And again "),
            ("user", "Once more"),
            ("assistant", "You said: Once more "),
        ]
        assert len(listed) == len(said)  # the copies that the page makes are those messages
