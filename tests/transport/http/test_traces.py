"""Spans of runs, as an exporter in memory gets them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as conventions
from opentelemetry.trace import StatusCode

from statecast import AddMessage, Agent, AgentError, Run, Traces, UntypedCommand, create_app
from statecast.cli.commands import parser
from statecast.cli.settings import TRACE_CONTENT, app_of
from statecast.http.run_spans import RunSpans
from statecast.stores import SqliteStore
from statecast.testing import TestClient
from statecast_agents import Usage
from tests.transport.followers import crashed

pytestmark = pytest.mark.anyio

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACE = {"traceparent": f"00-{TRACE_ID}-{SPAN_ID}-01"}


class Collected:
    """A provider whose spans are kept."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def traces(self, *, content: bool = False) -> Traces:
        return Traces(provider=self.provider, content=content)

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self._exporter.get_finished_spans()}

    @property
    def runs(self) -> list[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.name.startswith("invoke_agent")]


def poet(*, restartable: bool = False) -> Agent:
    agent = Agent("poet", commands=["fail", "hold"], restartable=restartable)

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        message = run.messages.assistant()
        message.append_text("a secret verse")
        message.set_metadata(usage=Usage(3, 4, 2, 1))
        message.add_tool_call("look", {"at": "x"}).set_result("seen")
        message.add_tool_call("ask", {})

    @agent.on("fail")
    async def fail(run: Run, command: UntypedCommand) -> None:
        raise AgentError("no ink", code="no_ink")

    @agent.on("hold")
    async def hold(run: Run, command: UntypedCommand) -> None:
        run.state = {"held": True}
        await anyio.Event().wait()

    return agent


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_a_run_is_a_span_of_its_requests_trace() -> None:
    collected = Collected()
    message = {"type": "add-message", "message": {"role": "user", "parts": [{"type": "text", "text": "hi"}]}}
    async with TestClient(create_app(poet(), traces=collected.traces())) as client:
        await client.post("/assistant", json={"threadId": "t", "commands": [message]}, headers=TRACE)

    (span,) = collected.runs
    found = attributes(span)
    assert span.name == "invoke_agent poet"
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE_ID, SPAN_ID)
    assert found[conventions.GEN_AI_OPERATION_NAME] == "invoke_agent"
    assert found[conventions.GEN_AI_AGENT_NAME] == "poet"
    assert found[conventions.GEN_AI_CONVERSATION_ID] == "t"
    assert found[conventions.GEN_AI_USAGE_INPUT_TOKENS] == 3
    assert found[conventions.GEN_AI_USAGE_OUTPUT_TOKENS] == 4
    assert found["gen_ai.usage.reasoning.output_tokens"] == 2  # newer than the oldest conventions
    assert found[conventions.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS] == 1
    assert found["statecast.run.status"] == "completed"
    calls = [dict(event.attributes or {}) for event in span.events if event.name == "execute_tool"]
    assert [(call[conventions.GEN_AI_TOOL_NAME], call["statecast.tool.outcome"]) for call in calls] == [
        ("look", "succeeded"),
        ("ask", "open"),
    ]
    assert "secret" not in span.to_json()


async def test_a_failed_run_is_an_error_by_its_code() -> None:
    collected = Collected()
    async with TestClient(create_app(poet(), traces=collected.traces())) as client:
        await client.run({"type": "fail"})
    (span,) = collected.runs
    assert (span.status.status_code, attributes(span)["error.type"]) == (StatusCode.ERROR, "no_ink")
    assert "no ink" not in span.to_json()


async def test_what_was_said_is_in_a_span_only_if_it_is_asked_for() -> None:
    collected = Collected()
    async with TestClient(create_app(poet(), traces=collected.traces(content=True))) as client:
        await client.run("hi")
    found = attributes(collected.runs[0])
    assert json.loads(found[conventions.GEN_AI_INPUT_MESSAGES]) == [
        {"role": "user", "parts": [{"type": "text", "content": "hi"}]}
    ]
    ((text, call, response, _),) = [message["parts"] for message in json.loads(found["gen_ai.output.messages"])]
    assert text == {"type": "text", "content": "a secret verse"}
    assert (call["type"], call["name"], call["arguments"]) == ("tool_call", "look", {"at": "x"})
    assert response["response"] == "seen"


async def test_spans_that_the_agent_makes_are_children_of_its_runs() -> None:
    collected = Collected()
    agent = Agent("poet")

    @agent.on(AddMessage)
    async def answer(run: Run, command: AddMessage) -> None:
        with collected.provider.get_tracer("model").start_as_current_span("chat"):
            run.messages.assistant().append_text("Hello")

    async with TestClient(create_app(agent, traces=collected.traces())) as client:
        for thread in ("a", "b"):
            await client.run("hi", thread_id=thread)
    first, second = collected.runs
    inner = collected.spans["chat"]
    assert inner.parent is not None
    assert inner.parent.span_id == second.context.span_id
    assert first.context.trace_id != second.context.trace_id


async def test_a_span_that_is_current_around_the_request_is_the_parent() -> None:
    collected = Collected()
    async with TestClient(create_app(poet(), traces=collected.traces())) as client:
        with collected.provider.get_tracer("server").start_as_current_span("POST") as around:
            await client.post("/assistant", json={"commands": [{"type": "fail"}]}, headers=TRACE)
    (span,) = collected.runs
    assert span.parent is not None
    assert span.parent.span_id == around.get_span_context().span_id


@pytest.mark.parametrize("headers", [TRACE, {}])
async def test_a_run_that_starts_again_after_a_crash_goes_on_in_its_trace(
    headers: dict[str, str], tmp_path: Path
) -> None:
    before, after = Collected(), Collected()
    store = SqliteStore(tmp_path / "threads.db")
    app = create_app(poet(restartable=True), store=store, traces=before.traces())
    async with TestClient(app) as client:
        body = {"threadId": "t", "commands": [{"type": "hold"}]}
        async with client.stream("POST", "/assistant", json=body, headers=headers) as response:
            await response.read_until(b"held")
            left = crashed(store, tmp_path)
            await client.post("/cancel", json={"threadId": "t"})
            await response.read()
    async with TestClient(create_app(poet(restartable=True), store=left, traces=after.traces())) as client:
        await client.post("/cancel", json={"threadId": "t"})

    (first,), (second,) = before.runs, after.runs
    assert second.context.trace_id == first.context.trace_id
    assert [link.context.span_id for link in second.links] == [first.context.span_id]
    assert first.context.span_id != second.context.span_id
    assert attributes(second)["statecast.run.tries"] == 2
    assert second.parent is not None
    assert f"{second.parent.span_id:016x}" == (SPAN_ID if headers else f"{first.context.span_id:016x}")


def test_nothing_of_opentelemetry_is_imported_unless_runs_are_traced() -> None:
    program = (
        "import sys; from statecast import Agent, create_app; create_app(Agent());"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'prometheus'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_settings_of_traces_are_checked() -> None:
    with pytest.raises(TypeError, match=r"Traces\.provider"):
        Traces(provider="jaeger")
    with pytest.raises(TypeError, match="expected traces to be"):
        create_app(poet(), traces="yes")  # type: ignore[arg-type]  # the mistake


@pytest.mark.parametrize("content", ["true", "false", ""])
def test_the_command_line_traces_runs_and_asks_the_environment_for_content(
    content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TRACE_CONTENT, content)
    app = app_of(parser().parse_args(["demo", "--traces"]))
    (spans,) = [one for one in app.hub.observer._observers if isinstance(one, RunSpans)]
    assert spans._content == (content == "true")
