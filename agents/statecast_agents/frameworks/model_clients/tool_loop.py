"""The tool loop: ask a model, answer its tool calls, and ask again until it makes no more calls.

Calls to Python functions are answered here, concurrently. Calls to frontend tools, and calls that need the user's
approval, end the run. The page's answers start the next run, which continues the loop, also after a restart.

Rule: only the run that received the model's call or the user's approval calls the function, so nothing is done twice. A
call cut off by a crash gets an error as its result.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from statecast_agents.errors import AgentError, RunEnded
from statecast_agents.frameworks.adapter.answer import Answer
from statecast_agents.frameworks.adapter.conversation import STOPPED, arguments_of, denied
from statecast_agents.frameworks.adapter.explain import failure
from statecast_agents.frameworks.adapter.tools import FunctionTool, InvalidArguments, Tool, page_tools
from statecast_agents.frameworks.adapter.turn import Turn
from statecast_agents.message import ToolCall
from statecast_agents.run import Run

from .streams import ModelStream, copy_answer

__all__ = ["run_tools"]

_log: Final = logging.getLogger("statecast")


async def run_tools(
    run: Run,
    ask: Callable[[Sequence[Tool]], ModelStream],
    tools: Sequence[Tool | Callable[..., Any]] = (),
    *,
    max_steps: int = 20,
) -> None:
    """Ask a model, answer its tool calls, and ask it again until it makes no more calls.

    Call it in a function for the whole batch (`@agent.batch`), because the page's answers continue the loop as messages
    do.

    Args:
        run: The run.
        ask: Receives the tools to offer, and returns the client's stream, awaited or not.
        tools: Python functions, or tools created from them with `tool`. Frontend tools are offered as well, unless a
            function has the same name.
        max_steps: The maximum number of model calls in a run.

    Raises:
        AgentError: As `copy_stream`; "step_limit_reached": the model still calls tools after `max_steps` answers.
        TypeError: A function has a parameter whose type has no JSON Schema.
    """
    own = {one.name: one for one in (_tool(given) for given in tools)}
    offered = [*own.values(), *(one for one in page_tools(run.request.tools) if one.name not in own)]
    loop = _Loop(run, own, {one.name for one in offered})
    with Turn(run) as turn:
        if not await loop.resume():
            return
        for _ in range(max_steps):
            answer = Answer(turn)
            calls = await copy_answer(ask(offered), answer)
            if not await loop.answer(calls) or not (answer.has_calls or answer.paused):
                return
    raise failure("step_limit_reached")


class _Loop:
    """Answers the calls of a run.

    Args:
        run: The run.
        tools: Those that are called here, by their names.
        offered: The names of all tools that the model may call.
    """

    def __init__(self, run: Run, tools: Mapping[str, Tool], offered: set[str]) -> None:
        self._run = run
        self._tools = tools
        self._offered = offered

    async def resume(self) -> bool:
        """Continue what the user has answered, and return whether no call is open any more."""
        answers = self._run.answers
        calls = self._run.messages.open_calls()
        held = [call for call in calls if call.name in self._tools and self._tools[call.name].holds(self._run, call)]
        approved: list[ToolCall] = []
        for call in calls:
            if call in held:
                continue
            if call.name not in self._tools or "approval" not in call.part:
                if call.name in self._tools:
                    call.set_result(STOPPED, is_error=True)
                continue
            answer = answers.get(call.part["approval"]["id"])
            if answer is not None and answer["approved"] is True:
                approved.append(call)
            elif answer is not None:
                call.set_result(denied(answer), is_error=True)
            elif "approved" in call.part["approval"]:
                call.set_result(STOPPED, is_error=True)
        await self._work(approved, self._settle)
        await self._work(held, lambda call: self._tools[call.name].resume(self._run, call, answers))
        return not self._run.messages.open_calls()

    async def answer(self, calls: Sequence[ToolCall]) -> bool:
        """Answer the calls of a model, and return whether none is open any more."""
        for call in calls:
            if call.name not in self._offered:
                call.set_result(f"There is no tool {call.name}.", is_error=True)
        await self._work([call for call in calls if call.name in self._tools], self._begin)
        return not any(call.open for call in calls)

    async def _begin(self, call: ToolCall) -> None:
        if self._tools[call.name].must_ask(arguments_of(call) or {}):
            call.ask()
        else:
            await self._settle(call)

    def _settle(self, call: ToolCall) -> Awaitable[None]:
        return self._tools[call.name].settle(self._run, call, arguments_of(call) or {})

    async def _work(self, calls: Sequence[ToolCall], work: Callable[[ToolCall], Awaitable[None]]) -> None:
        """Work on several calls at once."""
        # Unlike a task group, it passes every cancellation on, so that a blocked worker thread is left behind in time.
        await asyncio.gather(*(self._work_on(call, work) for call in calls))

    async def _work_on(self, call: ToolCall, work: Callable[[ToolCall], Awaitable[None]]) -> None:
        """Work on a call. An exception becomes an error of the call that says nothing of it."""
        with self._run.activity():
            try:
                await work(call)
            except InvalidArguments as error:
                call.set_result(f"The arguments do not fit: {error}", is_error=True)
            except RunEnded:
                raise
            except AgentError as error:
                call.set_result(str(error), is_error=True)
            except Exception:  # of the tool: the model can go on without it
                _log.exception('the tool "%s" failed in run %s', call.name, self._run.id)
                call.set_result("The tool failed.", is_error=True)


def _tool(given: Tool | Callable[..., Any]) -> Tool:
    return given if isinstance(given, Tool) else FunctionTool(given)
