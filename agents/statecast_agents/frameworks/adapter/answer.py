"""One answer of a model, while it streams into a message.

The readers in `openai_chat`, `openai_responses` and `anthropic_messages` parse a provider's events; this module writes
their content. The first content opens the message, so a model that fails before its first token leaves no empty
message.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from statecast_agents.chunks import FinishReason, Usage
from statecast_agents.errors import MemoryTooLarge, OperationError
from statecast_agents.ids import new_id
from statecast_agents.message import AssistantMessage, ToolCall
from statecast_agents.values import Json

from .explain import failure
from .turn import Turn

__all__ = ["BAD_ARGUMENTS", "Answer", "Form", "memory_name"]

#: The API whose items an answer keeps.
Form = Literal["chat", "responses", "anthropic"]

#: The result of a call whose arguments cannot be read: the model reads it, and can call the tool again.
BAD_ARGUMENTS: Final = "The arguments of this call are not complete JSON. The tool was not called."


def memory_name(message_id: str) -> str:
    """Return the name under which `run.memory` holds the provider's own items of an answer."""
    return f"model:{message_id}"


class Answer:
    """One answer of a model, written into a new message of the assistant.

    Args:
        turn: The turn that shows it.
        ns: The namespace of the turn that it belongs to.
    """

    __slots__ = ("_calls", "_turn", "_urls", "finish_reason", "id", "model", "ns", "opened", "paused", "usage")

    def __init__(self, turn: Turn, ns: str = "") -> None:
        self.id = new_id("msg")  #: the message's. A provider may use an id twice in a thread
        self.ns = ns
        self.finish_reason: FinishReason | None = None  #: None until the model has finished
        self.model: str | None = None  #: its name, as the provider reports it
        self.paused = False  #: whether the provider paused a long turn, which the next request continues
        self.opened = False  #: whether there is a message
        self.usage: dict[str, int] = {}  #: the fields of `Usage` that the provider reported
        self._turn = turn
        self._calls: list[ToolCall] = []
        self._urls: set[str] = set()

    @property
    def message(self) -> AssistantMessage:
        """The message, opened if it was not."""
        self.opened = True
        return self._turn.message(self.id, self.ns)

    @property
    def has_calls(self) -> bool:
        """Whether the model called something, be it with arguments that cannot be read."""
        return bool(self._calls)

    def append_text(self, delta: str | None) -> None:
        """Append to the text. An empty delta does nothing."""
        if delta:
            self.opened = True
            self._turn.text(self.id, delta, ns=self.ns)

    def append_reasoning(self, delta: str | None) -> None:
        """Append to the reasoning. An empty delta does nothing."""
        if delta:
            self.opened = True
            self._turn.reasoning(self.id, delta, ns=self.ns)

    def add_call(self, name: str, id: str | None = None) -> ToolCall:  # the field's name
        """Add a call for the agent or the page to answer; its arguments are streamed."""
        call = self.add_hosted_call(name, id)
        self._calls.append(call)
        return call

    def add_hosted_call(self, name: str, id: str | None = None) -> ToolCall:  # the field's name
        """Add a call of a tool that the provider runs itself; its arguments are streamed."""
        self.opened = True
        return self._turn.call(self.id, id or None, name, ns=self.ns)

    def add_source(self, url: Any, title: Any = None) -> None:
        """Add a web page that the answer cites, once."""
        if isinstance(url, str) and url and url not in self._urls:
            self._urls.add(url)
            self.message.add_source(url, title=title if isinstance(title, str) else None)

    def keep(self, form: Form, items: Json) -> None:
        """Keep what the provider wants back with the next request, and the message cannot express.

        Args:
            form: The API that the items belong to.
            items: The items, as JSON. They stand for the parts that the message has now.

        Raises:
            MemoryTooLarge: The memory has no room for them.
        """
        memory, parts = self._turn.run.memory, len(self.message.parts)
        kept = {"form": form, "parts": parts, "items": items}
        try:
            memory[memory_name(self.id)] = kept
        except MemoryTooLarge:  # a request can do without those of earlier answers
            for name in memory:
                if name.startswith(memory_name("")):
                    del memory[name]
            memory[memory_name(self.id)] = kept

    def close(self) -> list[ToolCall]:
        """Finish the answer, and return the calls to answer.

        A call whose arguments are not complete JSON gets an error as its result, for the model to read.

        Raises:
            AgentError: "model_cut_off": the stream ended before the model had finished.
        """
        if self.finish_reason is None:
            raise failure("model_cut_off")
        for call in self._calls:
            try:
                call.finish_args()
            except OperationError:
                call.set_result(BAD_ARGUMENTS, is_error=True)
        self._turn.finish(self.id, self.ns)
        if self.opened:
            usage = Usage(**self.usage) if self.usage else None
            self.message.set_metadata(usage=usage, model=self.model, finish_reason=self.finish_reason)
        return [call for call in self._calls if call.open]
