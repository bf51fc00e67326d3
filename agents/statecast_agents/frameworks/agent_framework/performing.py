"""Perform one run of an agent of the framework: its input, its work, and its open questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from agent_framework import AgentResponse, Content, Message, SupportsAgentRun

from statecast_agents.calls import DISMISSED
from statecast_agents.commands import AddMessage
from statecast_agents.frameworks.adapter.turn import Turn
from statecast_agents.ids import new_id
from statecast_agents.message import AssistantMessage
from statecast_agents.message import Message as Shown
from statecast_agents.values import Json

from .input import Activities, converted, offered, options_with, result_message
from .session import StoredSession
from .updates import Updates

__all__ = ["AgentRun"]

#: `{"last": the id of the last message of the user that the session has, "waiting": {call id: the request for its
#: approval, or None for a call of the page's}, "tools": the page's tools that the agent knows, "answers": those that
#: wait for others}`.
PROGRESS: Final = "agent-framework"

#: `{"run": the run that has begun last, "messages": how many there were, "parts": of the last of them}`.
BEGUN: Final = "agent-framework:begun"


class AgentRun:
    """One run of an agent.

    Args:
        turn: The turn that shows it.
        agent: The framework's agent.
        options: The caller's arguments of the agent's `run`.
    """

    def __init__(self, turn: Turn, agent: SupportsAgentRun, options: Mapping[str, Any]) -> None:
        self._turn = turn
        self._run = run = turn.run
        self._agent = agent
        self._options = options
        progress: Mapping[str, Any] = run.memory.get(PROGRESS) or {}
        self._last: str | None = progress.get("last")
        self._waiting: dict[str, Json] = progress.get("waiting") or {}
        self._answered: dict[str, Any] = progress.get("answers") or {}
        #: what the page declares now, and what it declared when the calls were made that it answers now
        self._tools: dict[str, Json] = {**progress.get("tools", {}), **run.request.tools}

    async def perform(self) -> AgentResponse[Any] | None:
        """Run the agent until it has finished, or waits for the user."""
        run = self._run
        self._answered |= run.answers  # no later run finds them
        if not any(isinstance(command, AddMessage) for command in run.commands) and self._waits():
            progress = run.memory.get(PROGRESS) or {}
            run.memory[PROGRESS] = {**progress, "answers": self._answered, "tools": self._tools}
            return None
        self._begin()
        stored = StoredSession(run, self._agent)
        messages = [*self._settled(stored), *self._unread()]
        if not messages:
            return None
        last = run.messages[-1]
        updates = Updates(self._turn, last.id if isinstance(last, AssistantMessage) else new_id("msg"))
        arguments = options_with(self._options, tools=offered(self._tools), middleware=[Activities(self._turn)])
        stream = self._agent.run(messages, stream=True, session=stored.session, **arguments)
        async for update in stream:
            updates.copy(update)
        updates.finish()
        response: AgentResponse[Any] = await stream.get_final_response()
        stored.save()
        last_id = next((each.id for each in reversed(run.messages) if each.role == "user"), None)
        waiting = {call_id: request for call_id, request in map(self._ask, response.user_input_requests) if call_id}
        run.memory[PROGRESS] = {"last": last_id, "waiting": waiting, "tools": self._tools}
        return response

    def _waits(self) -> bool:
        """Return whether the user has more to answer: the framework performs other calls only after that, too."""
        asked = {question["id"] for question in self._run.pending}
        return any(
            request["id"] in asked if request is not None else self._is_open(call_id)
            for call_id, request in self._waiting.items()
        )

    def _is_open(self, call_id: str) -> bool:
        call = self._turn.find_call(call_id)
        return call is not None and call.open

    def _begin(self) -> None:
        """Note what the thread has now; drop what an earlier try of the run has shown."""
        run, items = self._run, self._run.messages.items
        begun = run.memory.get(BEGUN)
        if begun is not None and begun["run"] == run.id:
            del items[begun["messages"] :]
            if items:
                del items[-1]["parts"][begun["parts"] :]
            return
        parts = len(run.messages[-1].parts) if items else 0
        run.memory[BEGUN] = {"run": run.id, "messages": len(items), "parts": parts}

    def _unread(self) -> Iterator[Message]:
        """Yield the messages that the session lacks: the new ones, and those before, as after a stop."""
        unread: list[Shown] = []
        for message in reversed(self._run.messages):
            if message.role == "user" and message.id == self._last:
                break
            unread.append(message)
        unread.reverse()
        if self._last is not None:  # the session has the answer to the last message that it has
            first = next((place for place, message in enumerate(unread) if message.role == "user"), len(unread))
            unread = unread[first:]
        if any(message.role == "user" for message in unread):
            for message in unread:
                yield from converted(message)

    def _settled(self, stored: StoredSession) -> Iterator[Message]:
        """Yield what has become of the calls that the session waits for; those without an answer are denied."""
        decisions: list[Content] = []
        for call_id, request in self._waiting.items():
            call = self._turn.find_call(call_id)
            if request is not None and (call is None or call.open or call.result == DISMISSED):
                asked = Content.from_dict(request)
                answer = self._answered.get(asked.id or "", {})
                decisions.append(asked.to_function_approval_response(answer.get("approved") is True))
            elif call is not None:  # if it was approved, the run that performed it has failed since
                stored.drop_request(call_id)
                yield result_message(call)
        if decisions:
            yield Message("user", decisions)

    def _ask(self, request: Content) -> tuple[str, Json]:
        """Ask the user what the agent asks; return the call's id, and what the next run needs of the request."""
        if request.type != "function_approval_request" or request.function_call is None:
            return request.call_id or "", None
        function = request.function_call
        call = self._turn.find_call(function.call_id or "")
        if call is None:
            self._run.ask(f"May the agent call {function.name}?", id=request.id)
        else:
            call.ask(id=request.id)
        return function.call_id or "", request.to_dict()
