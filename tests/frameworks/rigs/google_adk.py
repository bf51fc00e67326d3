"""Google ADK: an agent whose model the provider plays."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from statecast.frameworks import GoogleADKAgent
from statecast_agents import Agent
from tests.frameworks.provider import USAGE, CallArgs, CallBegin, Provider, Reasoning, Request, Step, Text
from tests.frameworks.tools import Tools

TITLE = "Google ADK"

GAPS: Mapping[str, str] = {}


def agent(provider: Provider, tools: Tools) -> Agent:
    """Return an agent with all tools, approval of `book` by ADK's confirmations, and a sub-agent that is a tool."""
    from google.adk.agents import LlmAgent
    from google.adk.models.base_llm import BaseLlm
    from google.adk.models.llm_response import LlmResponse
    from google.adk.tools.function_tool import FunctionTool
    from google.genai.types import Content, FunctionCall, Part
    from google.genai.types import GenerateContentResponseUsageMetadata as Tokens
    from pydantic import BaseModel

    class Question(BaseModel):
        question: str

    class Model(BaseLlm):
        async def generate_content_async(
            self, llm_request: Any, stream: bool = False
        ) -> AsyncGenerator[LlmResponse, None]:
            said: list[Step] = []
            async for step in provider.answer(_request(llm_request)):
                said.append(step)
                if isinstance(step, Text | Reasoning):
                    part = Part(text=step.delta, thought=isinstance(step, Reasoning) or None)
                    yield LlmResponse(content=Content(role="model", parts=[part]), partial=True)
            parts = [
                Part(text="".join(step.delta for step in said if isinstance(step, kind)), thought=thought)
                for kind, thought in ((Reasoning, True), (Text, None))
            ]
            for call in said:
                if isinstance(call, CallBegin):
                    args = "".join(s.delta for s in said if isinstance(s, CallArgs) and s.index == call.index)
                    function = FunctionCall(id=call.id, name=call.name, args=json.loads(args))
                    parts.append(Part(function_call=function))
            content = Content(role="model", parts=[part for part in parts if part.text or part.function_call])
            read, written = USAGE
            used = Tokens(prompt_token_count=read, candidates_token_count=written)
            yield LlmResponse(content=content, partial=False, usage_metadata=used)

    model = Model(model="fake")
    expert = LlmAgent(name="expert", model=model, mode="single_turn", input_schema=Question)
    host = LlmAgent(
        name="host",
        model=model,
        tools=[tools.weather, FunctionTool(tools.book, require_confirmation=True), tools.fails, tools.block],
        sub_agents=[expert],
    )
    return GoogleADKAgent(host, cancel_seconds=0.5)  # `block` does not notice that it is to end


def _request(request: Any) -> Request:
    said: list[tuple[str, str]] = []
    for content in request.contents:
        for part in content.parts:
            if part.function_response is not None:
                said.append(("tool", str(part.function_response.response)))
            elif part.text:
                said.append(("assistant" if content.role == "model" else "user", part.text))
    return Request(said, [*request.tools_dict])
