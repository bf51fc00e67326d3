"""OpenAI client, chat completions: the tool loop, with the real client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from statecast import Run
from statecast.frameworks import to_openai
from statecast_agents import Agent
from tests.frameworks.provider import Provider
from tests.frameworks.tool_loops import tool_loop
from tests.frameworks.tools import Tools

TITLE = "OpenAI (chat)"

GAPS: Mapping[str, str] = {}


def agent(provider: Provider, tools: Tools) -> Agent:
    from openai import AsyncOpenAI

    from tests.frameworks.model_transport import http_client

    client = AsyncOpenAI(base_url="http://provider/v1", api_key="any", max_retries=0, http_client=http_client(provider))

    def ask(run: Run, offered: Any, messages: Any) -> Any:
        return client.chat.completions.create(model="fake", **to_openai(run, offered, messages=messages))

    return tool_loop(ask, tools)
