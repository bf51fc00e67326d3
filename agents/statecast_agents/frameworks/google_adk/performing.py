"""Perform one run of an agent of ADK: its input, its work, and its open questions."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from google.adk.agents import RunConfig
from google.adk.agents._streaming_mode import StreamingMode
from google.adk.agents.run_config import ToolThreadPoolConfig
from google.adk.apps import App
from google.adk.events import Event
from google.adk.runners import Runner
from google.adk.sessions import Session
from google.genai.types import Content, FunctionCall, FunctionResponse, Part

from statecast_agents.frameworks.adapter.conversation import STOPPED, UNANSWERED, result_text
from statecast_agents.frameworks.adapter.explain import failure
from statecast_agents.frameworks.adapter.inputs import Inputs, inputs
from statecast_agents.frameworks.adapter.tools import page_tools
from statecast_agents.frameworks.adapter.turn import Turn
from statecast_agents.message import ToolCall
from statecast_agents.run import Run
from statecast_agents.values import Json, plain_copy

from .events import CONFIRMATION, INPUT, Events
from .input import PageTools, past_events, response, user_content
from .options import Options
from .rewinds import first_after, live
from .session import MemorySessionService

__all__ = ["AgentRun"]

#: `{"last": the id of the last message of the user that the session has, "waiting": {id of a question: its name},
#: "tools": the page's tools that the agent knows, "invocation": ADK's id of the last one that has ended,
#: "answers": those that wait for others, "run": the run that has begun last, "size": of the session then}`.
PROGRESS: Final = "google-adk"

#: What the codes mean that models report instead of an answer.
_ERRORS: Final = {
    "SAFETY": "content_filtered",
    "BLOCKLIST": "content_filtered",
    "PROHIBITED_CONTENT": "content_filtered",
    "RECITATION": "content_filtered",
    "SPII": "content_filtered",
    "IMAGE_SAFETY": "content_filtered",
    "MAX_TOKENS": "model_cut_off",
    "MALFORMED_FUNCTION_CALL": "invalid_answer",
}


class AgentRun:
    """One run of an agent of ADK.

    Args:
        turn: The turn that shows it.
        agent: The root agent, or the app.
        options: How it is run.
    """

    def __init__(self, turn: Turn, agent: Any, options: Options) -> None:
        self._turn = turn
        self._run = run = turn.run
        self._options = options
        app = agent if isinstance(agent, App) else App(name="statecast", root_agent=agent)
        progress: Mapping[str, Any] = run.memory.get(PROGRESS) or {}
        self._last: str | None = progress.get("last")
        self._waiting: dict[str, str] = progress.get("waiting") or {}
        #: what the page declares now, and what it declared when the calls were made that it answers now
        self._tools: dict[str, Json] = {**progress.get("tools", {}), **run.request.tools}
        self._invocation: str | None = progress.get("invocation")
        self._answered: dict[str, Any] = progress.get("answers") or {}
        self._size: int | None = progress.get("size") if progress.get("run") == run.id else None
        given = page_tools(self._tools)
        plugins = [*app.plugins, *([PageTools(given, run.thread_id)] if given else ())]
        self._user = _user_id(run.user) if options.user_id is None else options.user_id(run)
        self._runner = Runner(
            app=app.model_copy(update={"plugins": plugins}),
            session_service=options.session_service or MemorySessionService(run.memory),
            **options.services,
        )

    async def perform(self) -> None:
        """Run the agent until it has finished, or waits for the user."""
        given = inputs(self._run)
        self._answered |= self._run.answers  # no later run finds them
        if given.waits:
            self._save(self._waiting)
            return
        session = await self._session(given)
        message = user_content(given.messages) if given.messages else await self._answers(session)
        if message is None:
            return
        self._last = next((each.id for each in reversed(self._run.messages) if each.role == "user"), None)
        self._save(self._waiting, len(session.events))
        events = Events(self._turn, self._options)
        stream = self._runner.run_async(
            user_id=self._user, session_id=session.id, new_message=message, run_config=self._config()
        )
        async with aclosing(stream):
            async for event in stream:
                events.copy(event)
        if events.error is not None:
            raise failure(_ERRORS.get(events.error, "model_unavailable"))
        self._invocation = events.invocation or self._invocation
        self._answered = {}
        self._save(events.asked)

    def _config(self) -> RunConfig:
        config: RunConfig = self._options.run_config or RunConfig()
        pool = config.tool_thread_pool_config or ToolThreadPoolConfig()
        return config.model_copy(update={"streaming_mode": StreamingMode.SSE, "tool_thread_pool_config": pool})

    def _save(self, waiting: dict[str, str], size: int | None = None) -> None:
        progress: dict[str, Json] = {
            "last": self._last,
            "waiting": waiting,
            "tools": self._tools,
            "invocation": self._invocation,
        }
        progress["answers"] = self._answered
        self._run.memory[PROGRESS] = progress | ({} if size is None else {"run": self._run.id, "size": size})

    async def _session(self, given: Inputs) -> Session:
        """Return the session, with what it lacks before the new messages."""
        service, app = self._runner.session_service, self._runner.app_name
        place: dict[str, Any] = {"app_name": app, "user_id": self._user, "session_id": self._run.thread_id}
        if self._size is not None and isinstance(service, MemorySessionService):
            service.cut(self._size)
        session = await service.get_session(**place) or await service.create_session(**place)
        if given.forks and not isinstance(service, MemorySessionService):
            taken_out = first_after(live(session.events), self._invocation)
            if taken_out is not None:
                await self._runner.rewind_async(
                    user_id=self._user, session_id=session.id, rewind_before_invocation_id=taken_out
                )
                session = await service.get_session(**place) or session
        if self._size is not None:
            _drop_drafts(self._run, {event.id for event in session.events})
        if given.messages:
            for event in [*self._unread(given, session), *_closing(self._turn, session)]:
                await service.append_event(session, event)
        return session

    def _unread(self, given: Inputs, session: Session) -> Iterator[Event]:
        """Yield the messages before the new ones that the session lacks, as after a stop, or in a thread new to it."""
        known = {self._last, *(event.id for event in live(session.events))}
        new = given.messages[0].id
        earlier = []
        for message in self._run.messages:
            if message.id == new:
                break
            earlier.append(message)
        first = next((at + 1 for at in range(len(earlier) - 1, -1, -1) if earlier[at].id in known), 0)
        author = self._runner.agent.name
        for message in earlier[first:]:
            yield from past_events(message, author)

    async def _answers(self, session: Session) -> Content | None:
        """Return the answers to what the agent waits for; None if there are none."""
        answers = [
            Part(function_response=FunctionResponse(id=id, name=name, response=_answer(name, self._answered[id])))
            for id, name in self._waiting.items()
            if id in self._answered
        ]
        results = [
            (event, _result(call, shown))
            for call, event in _open_calls(live(session.events))
            if (shown := self._turn.find_call(call.id or "")) is not None and shown.settled
        ]
        if not answers:
            return Content(role="user", parts=[part for _, part in results]) if results else None
        for event, part in results:  # beside a confirmation, ADK would not look at them
            await self._runner.session_service.append_event(session, _following(event, part))
        return Content(role="user", parts=answers)


def _drop_drafts(run: Run, known: Container[str]) -> None:
    """Drop the answers that an earlier try of the run has shown, and the session has not."""
    items = run.messages.items
    while items and run.messages[-1].role == "assistant" and run.messages[-1].id not in known:
        del items[-1]


def _answer(name: str, answer: Mapping[str, Json]) -> dict[str, Json]:
    """Return the user's answer to a question of ADK, in its form."""
    if name == INPUT:
        return {"result": next((answer[key] for key in ("value", "text", "optionId") if key in answer), None)}
    payload = {"payload": answer["value"]} if "value" in answer else {}
    return {"confirmed": answer.get("approved") is True, **payload}


def _open_calls(events: Sequence[Event]) -> Iterator[tuple[FunctionCall, Event]]:
    """Yield the calls that have no result, with their events. A call that waits for a confirmation has none."""
    settled = {
        response.id
        for event in events
        for response in event.get_function_responses()
        if response.id not in event.actions.requested_tool_confirmations
    }
    for event in events:
        for call in event.get_function_calls():
            if call.name not in (CONFIRMATION, INPUT) and call.id not in settled:
                yield call, event


def _closing(turn: Turn, session: Session) -> Iterator[Event]:
    """Yield results for the calls that have none, because providers refuse a call without one."""
    for call, event in [*_open_calls(live(session.events))]:
        shown = turn.find_call(call.id or "")
        asked = call.id in (event.long_running_tool_ids or ()) or (shown is not None and "approval" in shown.part)
        missing = response(call.id or "", call.name or "", UNANSWERED if asked else STOPPED, is_error=True)
        part = missing if shown is None or not shown.settled or asked else _result(call, shown)
        yield _following(event, part)


def _following(event: Event, result: Part) -> Event:
    """Return the event that brings a result of a call of another one."""
    return Event(
        author=event.author,
        branch=event.branch,
        invocation_id=event.invocation_id,
        content=Content(role="user", parts=[result]),
    )


def _result(call: FunctionCall, shown: ToolCall) -> Part:
    """Return the result that a call has in the thread."""
    is_error = shown.part.get("isError") is True
    plain = "modelContent" not in shown.part and not is_error
    result = plain_copy(shown.result) if plain else result_text(shown)
    return response(call.id or "", call.name or "", result, is_error=is_error)


def _user_id(user: Any) -> str:
    return user if isinstance(user, str) and user else "user"
