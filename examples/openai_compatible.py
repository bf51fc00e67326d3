"""An agent that streams from any endpoint that speaks OpenAI's chat completions.

pip install openai
export OPENAI_API_KEY=…            # not needed by most local servers
export OPENAI_BASE_URL=…           # left out: OpenAI's own; or for instance http://127.0.0.1:11434/v1
export OPENAI_MODEL=…              # a page may also choose one, as `config.modelName`
statecast serve examples.openai_compatible:agent      from the folder above
python examples/openai_compatible.py                  the same

Text and reasoning are streamed as they come. Tools that the page registers are offered to the model; its calls are left
unanswered in the message, the page answers them, and the answers start the next run.
"""

import json
import os
from collections.abc import Iterator
from typing import Any

import openai
from openai import AsyncOpenAI

from statecast import Agent, AgentError, AssistantMessage, Run, ToolCall, serve
from statecast.errors import OperationError
from statecast.state import Json

agent = Agent("openai")

#: What a model is told of a call that the user passed over.
UNANSWERED = "The user did not answer this call."


@agent.batch  # one function over the whole batch: two tool results that arrive together are one question to the model
async def answer(run: Run) -> None:
    if _open_calls(run):
        return  # the page has more calls to answer; its next request brings them
    model = run.request.config.model_name or os.environ.get("OPENAI_MODEL")
    if not model:
        raise AgentError("No model was named: set OPENAI_MODEL, or let the page choose one.", code="no_model")
    try:
        async with _client() as client:
            # A stopped run is cancelled at an await in here; leaving the block closes the stream to the model.
            stream = await client.chat.completions.create(
                model=model, messages=list(_chat(run)), stream=True, **_settings(run)
            )
            async with stream:
                await _copy(stream, run.messages.assistant())
    except openai.AuthenticationError as error:
        raise AgentError("The model's server refused the API key: check OPENAI_API_KEY.", code="no_access") from error
    except openai.APIConnectionError as error:
        raise AgentError("The model's server could not be reached: check OPENAI_BASE_URL.", code="no_access") from error
    except openai.APIError as error:
        raise AgentError(f"The model's server reported an error: {error.message}", code="model_failed") from error
    except openai.OpenAIError as error:
        raise AgentError("No API key was given: set OPENAI_API_KEY.", code="no_access") from error


async def _copy(stream: Any, message: AssistantMessage) -> None:
    """Write what the model says into the message, as it comes."""
    calls: dict[int, ToolCall] = {}
    async for chunk in stream:
        for choice in chunk.choices:
            delta = choice.delta
            # Not in OpenAI's own API; the servers that have it use one of two names.
            reasoning = getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None)
            if reasoning:
                message.append_reasoning(reasoning)
            if delta.content:
                message.append_text(delta.content)
            for piece in delta.tool_calls or ():
                if piece.index not in calls:
                    calls[piece.index] = message.add_tool_call(piece.function.name, id=piece.id)
                if piece.function.arguments:
                    calls[piece.index].append_args(piece.function.arguments)
    for call in calls.values():
        try:
            call.finish_args()
        except OperationError as error:
            raise AgentError("The model's tool call was cut off.", code="model_failed") from error


def _client() -> AsyncOpenAI:
    local = "OPENAI_BASE_URL" in os.environ and "OPENAI_API_KEY" not in os.environ
    return AsyncOpenAI(api_key="none" if local else None)  # None: from the environment


def _settings(run: Run) -> dict[str, Any]:
    """What the page asks of the call: its settings, and its tools."""
    wanted = run.request.call_settings
    settings: dict[str, Any] = {
        "max_tokens": wanted.max_tokens,
        "temperature": wanted.temperature,
        "top_p": wanted.top_p,
        "presence_penalty": wanted.presence_penalty,
        "frequency_penalty": wanted.frequency_penalty,
        "seed": wanted.seed,
    }
    settings = {name: value for name, value in settings.items() if value is not None}
    tools = [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": tool.get("description") or "",
                "parameters": tool.get("parameters") or {"type": "object", "properties": {}},
            },
        }
        for name, tool in run.request.tools.items()
    ]
    return {**settings, "tools": tools} if tools else settings


def _open_calls(run: Run) -> bool:
    """Whether calls of the last message still wait for the page."""
    return any(not call.settled for call in run.messages[-1].tool_calls)


def _chat(run: Run) -> Iterator[Any]:
    """The conversation in the form of chat completions; each message of the assistant is one answer of the model."""
    if run.request.system:
        yield {"role": "system", "content": run.request.system}
    for message in run.messages:
        if message.role == "user":
            yield {"role": "user", "content": [_content(part) for part in message.parts]}
            continue
        calls = message.tool_calls
        if message.text or calls:
            answer = {"role": "assistant", "content": message.text}
            yield {**answer, "tool_calls": list(map(_call, calls))} if calls else answer
        for call in calls:
            yield {"role": "tool", "tool_call_id": call.id, "content": _result(call)}


def _content(part: dict[str, Json]) -> dict[str, Json]:
    if part.get("type") == "image":
        return {"type": "image_url", "image_url": {"url": part["image"]}}
    return {"type": "text", "text": part.get("text", "")}


def _call(call: ToolCall) -> dict[str, Json]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.args_text or "{}"},
    }


def _result(call: ToolCall) -> str:
    if not call.settled:
        return UNANSWERED
    return call.result if isinstance(call.result, str) else json.dumps(call.result, ensure_ascii=False)


if __name__ == "__main__":
    serve(agent)
