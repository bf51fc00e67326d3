"""An agent that streams from any endpoint that speaks OpenAI's chat completions.

pip install 'statecast[openai]'
export OPENAI_API_KEY=…            # not needed by most local servers
export OPENAI_BASE_URL=…           # left out: OpenAI's own; or for instance http://127.0.0.1:11434/v1
export OPENAI_MODEL=…              # a page may also choose one, as `config.modelName`
statecast serve examples.openai_compatible:agent      from the folder above
python examples/openai_compatible.py                  the same

Text and reasoning are streamed as they come. Tools that the page registers are offered to the model; its calls are left
unanswered in the message, the page answers them, and the answers start the next run. `examples/openai_tools` has tools
of the server.
"""

import os
from collections.abc import Sequence
from typing import Any

from openai import AsyncOpenAI

from statecast import Agent, AgentError, Run, serve
from statecast.frameworks import Tool, run_tools, to_openai

agent = Agent("openai")


@agent.batch  # one function over the whole batch: two tool results that arrive together are one question to the model
async def answer(run: Run) -> None:
    model = run.request.config.model_name or os.environ.get("OPENAI_MODEL")
    if not model:
        raise AgentError("No model was named: set OPENAI_MODEL, or let the page choose one.", code="no_model")

    def ask(tools: Sequence[Tool]) -> Any:
        request = to_openai(run, tools, system=run.request.system)
        return client.chat.completions.create(model=model, **request, **_settings(run))

    async with _client() as client:
        await run_tools(run, ask)


def _client() -> AsyncOpenAI:
    key = os.environ.get("OPENAI_API_KEY") or ("none" if "OPENAI_BASE_URL" in os.environ else None)
    if key is None:
        raise AgentError("No API key was given: set OPENAI_API_KEY.", code="no_access")
    return AsyncOpenAI(api_key=key)


def _settings(run: Run) -> dict[str, Any]:
    """Return what the page asks of the model's call."""
    wanted = run.request.call_settings
    settings = {
        "max_tokens": wanted.max_tokens,
        "temperature": wanted.temperature,
        "top_p": wanted.top_p,
        "presence_penalty": wanted.presence_penalty,
        "frequency_penalty": wanted.frequency_penalty,
        "seed": wanted.seed,
    }
    return {name: value for name, value in settings.items() if value is not None}


if __name__ == "__main__":
    serve(agent)
