"""Agents that answer with so many tokens: for each framework, one that its adapter runs and one written by hand.

Both use the framework's own model and stream. The one written by hand appends each token to a message of the assistant,
and shows nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import agent_framework as ms
import agents
import pydantic_ai
from google.adk.agents import LlmAgent, RunConfig
from google.adk.agents._streaming_mode import StreamingMode
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_response import LlmResponse
from google.adk.runners import InMemoryRunner
from google.genai.types import Content, GenerateContentResponseUsageMetadata, Part
from langchain.agents import create_agent
from langchain_core.language_models.chat_models import BaseChatModel, agenerate_from_stream
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langgraph.checkpoint.memory import InMemorySaver
from pydantic_ai.models.function import FunctionModel
from smolagents import LogLevel, Model, ToolCallingAgent
from smolagents.models import ChatMessage, ChatMessageStreamDelta, ChatMessageToolCallFunction
from smolagents.models import ChatMessageToolCallStreamDelta as CallDelta

from statecast import AddMessage, Agent, Run
from statecast.frameworks import (
    GeneratorAgent,
    GoogleADKAgent,
    LangGraphAgent,
    MicrosoftAgent,
    OpenAIAgentsAgent,
    PydanticAgent,
    SmolagentsAgent,
)

from . import providers
from .providers import a_client
from .tokens import Pair, Tokens, by_hand

__all__ = ["PAIRS", "a_graph"]


class ChatModel(BaseChatModel):
    """LangChain's."""

    tokens: Any

    @property
    def _llm_type(self) -> str:
        return "tokens"

    def _generate(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    async def _agenerate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        return await agenerate_from_stream(self._astream(messages, stop, run_manager))

    async def _astream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        async for piece in self.tokens:
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=piece))
            if run_manager is not None:
                await run_manager.on_llm_new_token(piece, chunk=chunk)
            yield chunk


def a_graph(tokens: Tokens) -> Any:
    return create_agent(ChatModel(tokens=tokens), [], checkpointer=InMemorySaver())


def langgraph_by_hand(tokens: Tokens) -> Agent:
    graph = a_graph(tokens)

    async def read(run: Run, message: Any) -> AsyncIterator[str]:
        given = {"messages": [{"role": "user", "content": message.text}]}
        config = {"configurable": {"thread_id": run.thread_id}}
        async for chunk, _ in graph.astream(given, config, stream_mode="messages"):
            if chunk.content:
                yield chunk.content

    return by_hand(read)


def an_agent(tokens: Tokens) -> agents.Agent:
    agents.set_tracing_disabled(True)  # it would send traces over the network
    return agents.Agent(name="Host", model=agents.OpenAIResponsesModel("fake", a_client(tokens)))


def openai_agents_by_hand(tokens: Tokens) -> Agent:
    host = an_agent(tokens)

    async def read(run: Run, message: Any) -> AsyncIterator[str]:
        result = agents.Runner.run_streamed(host, message.text)
        async for event in result.stream_events():
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                yield event.data.delta

    return by_hand(read)


def a_pydantic_agent(tokens: Tokens) -> pydantic_ai.Agent:
    async def stream(messages: Any, info: Any) -> AsyncIterator[str]:
        async for piece in tokens:
            yield piece

    return pydantic_ai.Agent(FunctionModel(stream_function=stream))


def pydantic_by_hand(tokens: Tokens) -> Agent:
    framework = a_pydantic_agent(tokens)

    async def read(run: Run, message: Any) -> AsyncIterator[str]:
        async with framework.run_stream_events(message.text) as events:
            async for event in events:
                if event.event_kind == "part_start" and event.part.part_kind == "text":
                    yield event.part.content
                elif event.event_kind == "part_delta" and event.delta.part_delta_kind == "text":
                    yield event.delta.content_delta

    return by_hand(read)


class AdkModel(BaseLlm):
    """Google ADK's."""

    tokens: Any

    async def generate_content_async(self, llm_request: Any, stream: bool = False) -> AsyncGenerator[LlmResponse, None]:
        async for piece in self.tokens:
            yield LlmResponse(content=Content(role="model", parts=[Part(text=piece)]), partial=True)
        whole = Content(role="model", parts=[Part(text="".join(self.tokens))])
        used = GenerateContentResponseUsageMetadata(prompt_token_count=1, candidates_token_count=1)
        yield LlmResponse(content=whole, partial=False, usage_metadata=used)


def an_adk_agent(tokens: Tokens) -> LlmAgent:
    return LlmAgent(name="host", model=AdkModel(model="fake", tokens=tokens))


def adk_by_hand(tokens: Tokens) -> Agent:
    runner = InMemoryRunner(an_adk_agent(tokens))

    async def read(run: Run, message: Any) -> AsyncIterator[str]:
        session = await runner.session_service.create_session(app_name=runner.app_name, user_id="u")
        events = runner.run_async(
            user_id="u",
            session_id=session.id,
            new_message=Content(role="user", parts=[Part(text=message.text)]),
            run_config=RunConfig(streaming_mode=StreamingMode.SSE),
        )
        async for event in events:
            if event.partial and event.content and event.content.parts:
                yield event.content.parts[0].text or ""

    return by_hand(read)


def generator(tokens: Tokens) -> Agent:
    async def answer(run: Run) -> AsyncIterator[str]:
        async for piece in tokens:
            yield piece

    return GeneratorAgent(answer)


def plain_generator(tokens: Tokens) -> Agent:
    def answer(run: Run) -> Iterator[str]:
        yield from tokens

    return GeneratorAgent(answer)


def plain_by_hand(tokens: Tokens) -> Agent:
    agent = Agent()

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()

        def work() -> None:
            for piece in tokens:
                message.append_text(piece)

        await run.in_thread(work)

    return agent


def a_microsoft_agent(tokens: Tokens) -> ms.Agent:
    class Client(ms.FunctionInvocationLayer[Any], ms.BaseChatClient[Any]):
        def _inner_get_response(self, *, messages: Any, stream: bool, options: Any, **given: Any) -> Any:
            return ms.ResponseStream(self._stream(), finalizer=ms.ChatResponse.from_updates)

        async def _stream(self) -> AsyncIterator[ms.ChatResponseUpdate]:
            async for piece in tokens:
                yield ms.ChatResponseUpdate(role="assistant", contents=[ms.Content.from_text(piece)])

    return ms.Agent(Client(), name="host")


def microsoft_by_hand(tokens: Tokens) -> Agent:
    host = a_microsoft_agent(tokens)

    async def read(run: Run, message: Any) -> AsyncIterator[str]:
        async for update in host.run(message.text, stream=True):
            yield update.text

    return by_hand(read)


class SmolModel(Model):
    """The one of smolagents."""

    def __init__(self, tokens: Tokens) -> None:
        super().__init__(model_id="tokens")
        self._tokens = tokens

    def generate_stream(self, messages: list[ChatMessage], **options: Any) -> Iterator[ChatMessageStreamDelta]:
        yield call_delta('{"answer": "', "c1")
        yield from map(call_delta, self._tokens)
        yield call_delta('"}')


def call_delta(text: str, id: str | None = None) -> ChatMessageStreamDelta:
    function = ChatMessageToolCallFunction(name="final_answer" if id else "", arguments=text)
    return ChatMessageStreamDelta(tool_calls=[CallDelta(index=0, id=id, function=function)])


def a_smolagent(tokens: Tokens) -> ToolCallingAgent:
    agent = ToolCallingAgent(tools=[], model=SmolModel(tokens), stream_outputs=True, verbosity_level=LogLevel.OFF)
    agent.logger.console.quiet = True
    return agent


def smolagents_by_hand(tokens: Tokens) -> Agent:
    agent = Agent()

    @agent.on(AddMessage)
    def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        for event in a_smolagent(tokens).run(command.message.text, stream=True):
            if isinstance(event, ChatMessageStreamDelta):
                message.append_text(event.tool_calls[0].function.arguments)

    return agent


PAIRS: dict[str, Pair] = {
    "LangGraph": Pair(lambda tokens: LangGraphAgent(a_graph(tokens)), langgraph_by_hand),
    "OpenAI Agents SDK": Pair(lambda tokens: OpenAIAgentsAgent(an_agent(tokens)), openai_agents_by_hand),
    "Pydantic AI": Pair(lambda tokens: PydanticAgent(a_pydantic_agent(tokens)), pydantic_by_hand),
    "Google ADK": Pair(lambda tokens: GoogleADKAgent(an_adk_agent(tokens)), adk_by_hand),
    "Microsoft Agent Framework": Pair(lambda tokens: MicrosoftAgent(a_microsoft_agent(tokens)), microsoft_by_hand),
    **providers.PAIRS,
    "an async generator": Pair(generator, lambda tokens: by_hand(lambda run, message: aiter(tokens))),
    "a generator in a thread": Pair(plain_generator, plain_by_hand),
    # It draws the whole answer anew with each token.
    "smolagents": Pair(lambda tokens: SmolagentsAgent(lambda: a_smolagent(tokens)), smolagents_by_hand, flat=False),
}
