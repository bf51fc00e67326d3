"""Serve agents of smolagents.

They are synchronous, so they run in a worker thread. The final answer is the argument of a tool call, and streams as
the model writes it. Anything else that the model writes appears as reasoning. For each run, an agent's memory is built
from the messages in the thread.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from statecast_agents.agent import Agent
from statecast_agents.chunks import Usage
from statecast_agents.message import AssistantMessage, Message
from statecast_agents.run import Run
from statecast_agents.values import Json

from .adapter.checks import check_functions
from .adapter.inputs import inputs
from .adapter.work import CLEANUP_SECONDS
from .generators import SHARE, Item, run_generator

if TYPE_CHECKING:
    from smolagents import MultiStepAgent
    from smolagents.models import ChatMessageStreamDelta

__all__ = ["SmolagentsAgent", "run_smolagents"]

#: The tool whose argument is the agent's answer, and the name of that argument.
ANSWER: Final = "final_answer"
ARGUMENT: Final = "answer"


#: How the answer begins that smolagents makes of an exception, if the model fails once its steps are used up.
NO_ANSWER: Final = "Error in generating final LLM output:"

#: What a page sees of a tool that failed. The model is given the exception's text, which may hold anything.
FAILED: Final = "The tool failed."


class SmolagentsAgent(Agent):
    """An agent of smolagents. Create it with `stream_outputs=True`; otherwise its answers do not stream.

    Args:
        make: Returns a new agent for a run. Runs cannot share one, because an agent has one conversation at a time.
        name: The agent's name.
        settings: As in `Agent`.

    Raises:
        TypeError: `make` is not a function.
    """

    def __init__(self, make: Callable[[], MultiStepAgent], name: str = "agent", **settings: Any) -> None:
        super().__init__(name, **settings)
        check_functions("", make=make)
        self._make = make
        self.batch(self._work)

    async def _work(self, run: Run) -> None:
        await run_smolagents(run, self._make, bound=SHARE * self.cancel_seconds)


async def run_smolagents(run: Run, make: Callable[[], MultiStepAgent], *, bound: float = CLEANUP_SECONDS) -> None:
    """Run an agent of smolagents on the thread's new messages. Call it in your own handler.

    Args:
        run: The run. Without a new message, nothing happens.
        make: Returns the agent, see `SmolagentsAgent`; called in the worker thread.
        bound: Seconds for the agent to end after a stop.

    Raises:
        AgentError: The agent raised an exception that users may read about, see `explained`.
    """
    agents: list[MultiStepAgent] = []

    def work(run: Run) -> Generator[Item]:
        given = inputs(run)
        if given.messages:
            agent = make()
            agents.append(agent)
            ids = {message.id for message in given.messages}
            _remember(agent, [message for message in run.messages if message.id not in ids])
            yield from _items(run, agent, "\n\n".join(message.text for message in given.messages))

    def stop() -> None:
        for agent in agents:
            agent.interrupt()

    await run_generator(run, work, bound=bound, stop=stop)


def _remember(agent: MultiStepAgent, messages: Sequence[Message]) -> None:
    """Make an agent's memory of the messages of a thread."""
    from smolagents.memory import ActionStep, TaskStep, ToolCall
    from smolagents.monitoring import Timing

    steps: list[Any] = []
    for number, message in enumerate(messages):
        if message.role == "user":
            steps.append(TaskStep(task=message.text))
            continue
        calls = [call for call in message.tool_calls if call.settled]
        steps.append(
            ActionStep(
                step_number=number,
                timing=Timing(start_time=0.0),
                tool_calls=[ToolCall(name=call.name, arguments=call.args, id=call.id) for call in calls] or None,
                observations="\n".join(str(call.result) for call in calls) or None,
                model_output=message.text or None,
            )
        )
    agent.memory.steps = steps


def _items(run: Run, agent: MultiStepAgent, task: str) -> Iterator[Item]:
    """Run an agent, and yield what the page sees of it."""
    from smolagents.agents import ToolOutput
    from smolagents.memory import ActionStep, FinalAnswerStep, PlanningStep, ToolCall
    from smolagents.models import ChatMessageStreamDelta
    from smolagents.utils import AgentMaxStepsError

    answer, thoughts, calls = StringArgument(ARGUMENT), "", _Calls()
    usage: list[Usage] = []
    events: Any = agent.run(task, stream=True, reset=False)
    try:
        for event in events:
            match event:
                case ChatMessageStreamDelta():
                    if event.content:
                        thoughts += event.content
                        yield {"type": "reasoning", "text": event.content}
                    yield from calls.streamed(event, answer)
                case ToolCall():
                    yield from calls.whole(event)
                case ToolOutput() if not event.is_final_answer:
                    yield calls.result(event.id, event.observation)
                case ActionStep():
                    failed = event.error is not None
                    for id in list(calls.open):
                        yield calls.result(id, FAILED if failed else event.observations or "", is_error=failed)
                    if event.token_usage is not None:
                        usage.append(Usage(event.token_usage.input_tokens, event.token_usage.output_tokens))
                        last = run.messages[-1]
                        if isinstance(last, AssistantMessage):
                            last.set_metadata(steps=usage, model=agent.model.model_id)
                    answer, thoughts = (StringArgument(ARGUMENT) if failed else answer), ""
                case PlanningStep() if not thoughts:
                    yield {"type": "reasoning", "text": event.plan}
                case FinalAnswerStep() if _is_exception(event.output):
                    raise AgentMaxStepsError("the model failed to answer after the last step", agent.logger)
                case FinalAnswerStep() if str(event.output) != answer.text:
                    yield f"\n\n{event.output}" if answer.text else str(event.output)
    finally:
        _close(events)


def _is_exception(output: Any) -> bool:
    """Return whether an answer is the text of the exception that the model raised instead of giving one."""
    match output:
        case [{"text": str(text)}]:
            return text.startswith(NO_ANSWER)
    return False


def _close(events: Generator[Any]) -> None:
    """Close an agent's run, whose generator yields once more when it is closed in the middle of a step."""
    with contextlib.suppress(RuntimeError):
        events.close()
    events.close()


class _Calls:
    """The tool calls of a run, but for the one that has the answer."""

    def __init__(self) -> None:
        self.open: dict[str, str] = {}  #: names, by the ids of calls without a result
        self._streamed: dict[int, tuple[str, str]] = {}  #: ids and names, by the index within the model's answer

    def streamed(self, delta: ChatMessageStreamDelta, answer: StringArgument) -> Iterator[Item]:
        """Yield what a delta adds to calls, and to the answer."""
        for part in delta.tool_calls or ():
            function, index = part.function, part.index or 0
            if part.id is not None and function is not None and function.name:
                self._streamed[index] = part.id, function.name
                if function.name != ANSWER:
                    self.open[part.id] = function.name
                    yield {"type": "tool-call", "toolCallId": part.id, "toolName": function.name}
            id, name = self._streamed.get(index, ("", ANSWER))
            if function is None or not isinstance(function.arguments, str):
                continue
            if name == ANSWER:
                yield answer.add(function.arguments)
            else:
                yield {"type": "tool-call", "toolCallId": id, "argsText": function.arguments}

    def whole(self, call: Any) -> Iterator[Item]:
        """Yield a call whose arguments are whole, unless it was streamed."""
        if call.name == ANSWER or call.id in self.open:
            return
        self.open[call.id] = call.name
        args = call.arguments if isinstance(call.arguments, dict) else {"code": call.arguments}
        yield {"type": "tool-call", "toolCallId": call.id, "toolName": call.name, "args": args}

    def result(self, id: str, result: Json, *, is_error: bool = False) -> Item:
        """Return the result of a call."""
        self.open.pop(id, None)
        return {"type": "tool-call", "toolCallId": id, "result": result, "isError": is_error}


class StringArgument:
    """Reads a string out of the JSON text of a call's arguments while a model writes them. O(delta).

    Args:
        name: The argument's name.
    """

    def __init__(self, name: str) -> None:
        self.text = ""  #: as far as it has come
        self._begin = re.compile(rf'"{name}"\s*:\s*"')
        self._rest = ""  #: what has come and is not read
        self._within = False
        self._over = False

    def add(self, delta: str) -> str:
        """Read more of the text, and return what it adds to the string."""
        self._rest += delta
        if not self._within:
            found = self._begin.search(self._rest)
            if found is None:
                return ""
            self._within, self._rest = True, self._rest[found.end() :]
        if self._over:
            return ""
        raw = _WHOLE.match(self._rest)
        assert raw is not None, "it matches the empty text"
        self._rest = self._rest[raw.end() :]
        self._over = self._rest.startswith('"')
        added: str = json.loads(f'"{raw[0]}"', strict=False)
        self.text += added
        return added


#: The beginning of a JSON string's content that is no half of an escape, nor of a pair of surrogates.
_WHOLE: Final = re.compile(
    r'(?:[^"\\]|\\["\\/bfnrt]|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}'
    r"|\\u(?![dD][89abAB])[0-9a-fA-F]{4})*"
)
