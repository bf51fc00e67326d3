"""One span for each run, named `invoke_agent`, with the thread as its conversation. It needs the extra `otel`.

A span begins when its run is accepted. Its parent is the span that is current then, as of an instrumentation of the
server; else the one that the request's `traceparent` names. Both are stored with the batch, so that the process which
runs it after a crash goes on in the same trace, with a link to the span before.

Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-agent-spans/
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

import msgspec
from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from statecast.threads import Answered, ObservedRun, Observer

from .span_messages import input_messages, output_messages
from .traces import Traces

__all__ = ["RunSpans"]

#: What is stored with a batch beside the request's own headers: the `traceparent` of the span of its run.
RUN: Final = "run"

_propagator: Final = TraceContextTextMapPropagator()


class RunSpans(Observer):
    """Traces runs.

    Args:
        traces: How.
    """

    def __init__(self, traces: Traces) -> None:
        provider = traces.provider or trace.get_tracer_provider()
        self._tracer = provider.get_tracer("statecast", version("statecast"))
        self._content = traces.content
        self._spans: dict[str, Span] = {}  #: of live runs, by their ids

    def run_accepted(self, run: ObservedRun) -> None:
        parent, links = _parent_of(run)
        span = self._tracer.start_span(
            f"invoke_agent {run.agent}",
            context=parent,
            links=links,
            attributes={
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": run.agent,
                "gen_ai.conversation.id": run.thread_id,
                "statecast.run.id": run.id,
                "statecast.run.tries": run.tries,
            },
        )
        if self._content and span.is_recording():
            span.set_attribute("gen_ai.input.messages", input_messages(run.commands()))
        self._spans[run.id] = span
        current = trace.set_span_in_context(span, parent)
        run.context.run(context.attach, current)  # spans that the agent makes are its children
        run.trace[RUN] = _traceparent(current)

    def run_begun(self, run: ObservedRun) -> None:
        span = self._spans.get(run.id)
        if span is not None:
            span.add_event("statecast.run.begun")

    def run_left(self, run: ObservedRun) -> None:
        span = self._spans.pop(run.id, None)
        if span is not None:
            span.set_attribute("statecast.run.status", "left")
            span.end()

    def run_ended(self, run: ObservedRun) -> None:
        span = self._spans.pop(run.id, None)
        if span is None:
            return
        if span.is_recording():
            self._describe(span, run, run.answer())
        span.end()

    def _describe(self, span: Span, run: ObservedRun, answer: Answered) -> None:
        span.set_attribute("statecast.run.status", run.state.status)
        span.set_attribute("statecast.run.entries", run.entries)
        span.set_attribute("statecast.run.queued_seconds", run.queued_seconds)
        if run.state.error is not None:
            span.set_attribute("error.type", run.state.error.code)
            span.set_status(Status(StatusCode.ERROR, run.state.error.code))
        usage = answer.usage
        if usage is not None:
            tokens = {
                "gen_ai.usage.input_tokens": usage.input_tokens,
                "gen_ai.usage.output_tokens": usage.output_tokens,
                "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
                "gen_ai.usage.cache_read.input_tokens": usage.cached_input_tokens,
            }
            span.set_attributes({name: value for name, value in tokens.items() if value is not msgspec.UNSET})
        for call in answer.calls:
            outcome = "open" if call.failed is None else "failed" if call.failed else "succeeded"
            span.add_event(
                "execute_tool",
                {"gen_ai.tool.name": call.name, "gen_ai.tool.call.id": call.id, "statecast.tool.outcome": outcome},
            )
        if self._content:
            span.set_attribute("gen_ai.output.messages", output_messages(answer.messages))


def _parent_of(run: ObservedRun) -> tuple[Context, list[Link]]:
    """Return the context that a run's span is made in, and links to the span that it continues."""
    around = run.context.run(context.get_current)
    before = trace.get_current_span(_propagator.extract({"traceparent": run.trace.get(RUN, "")}, context=Context()))
    links = [Link(before.get_span_context())] if before.get_span_context().is_valid else []
    if trace.get_current_span(around).get_span_context().is_valid:
        run.trace |= _headers(around)
        return around, links
    parent = _propagator.extract(run.trace, context=around)
    if links and not trace.get_current_span(parent).get_span_context().is_valid:
        return trace.set_span_in_context(before, around), links
    return parent, links


def _headers(around: Context) -> dict[str, str]:
    headers: dict[str, str] = {}
    _propagator.inject(headers, context=around)
    return headers


def _traceparent(around: Context) -> str:
    return _headers(around).get("traceparent", "")
