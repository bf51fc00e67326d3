"""Microsoft Agent Framework: an agent whose chat client the provider plays."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from statecast.frameworks import MicrosoftAgent, show_agent_updates
from statecast_agents import Agent
from tests.frameworks.provider import USAGE, CallArgs, CallBegin, Provider, Reasoning, Request, Text
from tests.frameworks.tools import Tools

TITLE = "Microsoft Agent Framework"

GAPS: Mapping[str, str] = {}


def agent(provider: Provider, tools: Tools) -> Agent:
    """Return an agent with all tools, and an expert that works as one."""
    import agent_framework as ms

    class Client(ms.FunctionInvocationLayer[Any], ms.BaseChatClient[Any]):
        def _inner_get_response(self, *, messages: Any, stream: bool, options: Any, **given: Any) -> Any:
            assert stream
            return ms.ResponseStream(self._stream(messages, options), finalizer=ms.ChatResponse.from_updates)

        async def _stream(self, messages: Any, options: Any) -> AsyncIterator[ms.ChatResponseUpdate]:
            calls: dict[int, str] = {}
            async for step in provider.answer(_request(messages, options)):
                match step:
                    case Text(delta):
                        content = ms.Content.from_text(delta)
                    case Reasoning(delta):
                        content = ms.Content.from_text_reasoning(text=delta)
                    case CallBegin(id, name, index):
                        calls[index] = id
                        content = ms.Content.from_function_call(id, name, arguments="")
                    case CallArgs(delta, index):
                        content = ms.Content.from_function_call(calls[index], "", arguments=delta)
                yield ms.ChatResponseUpdate(role="assistant", contents=[content])
            read, written = USAGE
            used = ms.Content.from_usage({"input_token_count": read, "output_token_count": written})
            yield ms.ChatResponseUpdate(role="assistant", contents=[used], finish_reason="stop")

    client = Client()
    expert = ms.Agent(client, name="expert").as_tool(arg_name="question", stream_callback=show_agent_updates)
    book = ms.tool(approval_mode="always_require")(tools.book)
    host = ms.Agent(client, name="host", tools=[tools.weather, book, tools.fails, tools.block, expert])
    return MicrosoftAgent(host, cancel_seconds=0.5)  # `block` does not notice that it is to end


def _request(messages: Any, options: Any) -> Request:
    said: list[tuple[str, str]] = []
    for message in messages:
        said += [("tool", str(content.result)) for content in message.contents if content.type == "function_result"]
        if message.text:
            said.append((message.role, message.text))
    return Request(said, [tool.name for tool in options.get("tools") or ()])
