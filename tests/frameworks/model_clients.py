"""The real clients, asked through a provider on this machine: one way of asking for each of the four."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

# Without it, the import of litellm looks for a file on the network.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

import anthropic
import openai

from statecast import Run
from statecast_agents.frameworks.model_clients.anthropic_requests import to_anthropic
from statecast_agents.frameworks.model_clients.openai_requests import to_openai, to_responses

from .wires import SECRET

#: Asks a provider at a URL for the stream of the next answer.
Ask = Callable[[str, Run, Sequence[Any]], Awaitable[Any]]


async def ask_chat(url: str, run: Run, tools: Sequence[Any]) -> Any:
    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=SECRET, max_retries=0)
    return await client.chat.completions.create(model="fake", **to_openai(run, tools))


async def ask_responses(url: str, run: Run, tools: Sequence[Any]) -> Any:
    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=SECRET, max_retries=0)
    return await client.responses.create(model="fake", **to_responses(run, tools))


async def ask_anthropic(url: str, run: Run, tools: Sequence[Any]) -> Any:
    client = anthropic.AsyncAnthropic(base_url=url, api_key=SECRET, max_retries=0)
    return await client.messages.create(model="fake", max_tokens=100, **to_anthropic(run, tools))


async def ask_litellm(url: str, run: Run, tools: Sequence[Any]) -> Any:
    import litellm

    request = to_openai(run, tools)
    return await litellm.acompletion(
        model="openai/fake", base_url=f"{url}/v1", api_key=SECRET, max_retries=0, **request
    )


ASKS: dict[str, Ask] = {
    "chat": ask_chat,
    "responses": ask_responses,
    "anthropic": ask_anthropic,
    "litellm": ask_litellm,
}
