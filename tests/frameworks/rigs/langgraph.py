"""LangGraph: an agent of LangChain's `create_agent`, without a checkpointer of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from statecast_agents import Agent
from tests.frameworks.provider import USAGE, CallArgs, CallBegin, Provider, Reasoning, Request, Step, Text
from tests.frameworks.tools import Tools

if TYPE_CHECKING:
    from langchain_core.messages import AIMessageChunk, BaseMessage

TITLE = "LangGraph, LangChain, deepagents"
GAPS: Mapping[str, str] = {}


def agent(provider: Provider, tools: Tools) -> Agent:
    """Return a LangChain agent with all tools, approval of `book` by LangChain's middleware, and the page's tools."""
    from langchain.agents import create_agent
    from langchain.agents.middleware import HumanInTheLoopMiddleware
    from langchain_core.tools import tool

    from statecast.frameworks import LangGraphAgent, page_tools_middleware

    model = _model(provider)
    expert_agent = create_agent(model, [], name="expert")

    async def expert(question: str) -> str:
        """Ask an expert."""
        answer = await expert_agent.ainvoke({"messages": [{"role": "user", "content": question}]})
        return str(answer["messages"][-1].text)

    graph = create_agent(
        model,
        [tool(each) for each in (tools.weather, tools.book, tools.fails, tools.block, expert)],
        middleware=[HumanInTheLoopMiddleware(interrupt_on={"book": True}), page_tools_middleware()],
    )
    return LangGraphAgent(graph)


def _model(provider: Provider) -> Any:
    from langchain_core.language_models.chat_models import BaseChatModel, agenerate_from_stream
    from langchain_core.messages import AIMessageChunk
    from langchain_core.messages.ai import UsageMetadata
    from langchain_core.outputs import ChatGenerationChunk

    read, written = USAGE
    used = UsageMetadata(input_tokens=read, output_tokens=written, total_tokens=read + written)

    class Model(BaseChatModel):
        bound: Sequence[str] = ()

        @property
        def _llm_type(self) -> str:
            return "provider"

        def bind_tools(self, tools: Any, **settings: Any) -> Any:
            return self.model_copy(update={"bound": [_name(tool) for tool in tools]})

        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            raise NotImplementedError

        async def _agenerate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
            return await agenerate_from_stream(self._astream(messages, stop, run_manager))

        async def _astream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
            async for step in provider.answer(Request([*map(_said, messages)], self.bound)):
                chunk = ChatGenerationChunk(message=_chunk(step))
                if run_manager is not None:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk
            yield ChatGenerationChunk(message=AIMessageChunk(content="", usage_metadata=used, chunk_position="last"))

    return Model()


def _chunk(step: Step) -> AIMessageChunk:
    from langchain_core.messages import AIMessageChunk
    from langchain_core.messages.tool import tool_call_chunk

    match step:
        case Text(delta):
            return AIMessageChunk(content=delta)
        case Reasoning(delta):
            return AIMessageChunk(content="", additional_kwargs={"reasoning_content": delta})
        case CallBegin(id, name, index):
            return AIMessageChunk(
                content="", tool_call_chunks=[tool_call_chunk(name=name, args="", id=id, index=index)]
            )
        case CallArgs(delta, index):
            return AIMessageChunk(content="", tool_call_chunks=[tool_call_chunk(args=delta, index=index)])
        case _:
            raise AssertionError(step)


def _said(message: BaseMessage) -> tuple[str, str]:
    roles = {"human": "user", "ai": "assistant"}
    return roles.get(message.type, message.type), str(message.text)


def _name(tool: Any) -> str:
    return str(tool["function"]["name"] if isinstance(tool, dict) else tool.name)
