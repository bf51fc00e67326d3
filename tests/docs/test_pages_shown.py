"""The pages of guides whose hook is tried elsewhere, as a person sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from statecast import create_app
from tests.clients.serving import served
from tests.docs.person import act
from tests.docs.test_chat_snippets import agent_of, module_of, packages

__all__ = ["agent_of", "module_of", "packages"]

TALKS = """
  mount(h(page.Bees, { url, threadId: "shown" }));
  await say("Good morning");
  await shows("Good morning");
  await shows("You said: Good morning");
  await say("And good night");
  await shows("You said: And good night");
  await quiet();
"""


@pytest.mark.parametrize("guide", ["data-stream-runtime.md", "ag-ui.md"])
def test_a_person_talks_to_the_agent_of_the_guide_in_its_page(
    module_of: Any, agent_of: Any, tmp_path: Path, guide: str
) -> None:
    module = module_of(guide, "src/Bees.tsx")
    with served(create_app(agent_of(guide))) as url:
        act(TALKS, tmp_path, module, url)
