"""Message parts outside the state, for protocols that carry an answer as parts rather than as state.

`run.parts` numbers the parts and closes those left open, so that every protocol gets a well-formed sequence. A text
ends where another part begins, and a tool call's arguments are finished before its result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal, TypeVar

import msgspec
from msgspec import UNSET

from . import chunks
from .arguments import arguments_text
from .document import to_json
from .errors import NotJson, OperationError, PartTooLarge
from .ids import new_id
from .surrogates import SurrogateJoiner, check_text
from .values import Json

__all__ = ["CallStream", "Parts", "Step"]

MAX_CHUNK: Final = 12 * 2**20  #: bytes of one chunk as JSON: clients refuse frames of more than 16 Mi characters

_T = TypeVar("_T")


class Parts:
    """The parts of one run's message.

    Args:
        emit: Accepts each chunk, in order.
    """

    __slots__ = (
        "_calls",
        "_count",
        "_emit",
        "_open",
        "_split",
    )

    def __init__(self, emit: Callable[[chunks.Chunk], None]) -> None:
        self._emit = emit
        self._count = 0
        self._open: tuple[int, str, str | None] | None = None  #: the text or reasoning part that still grows
        self._split = SurrogateJoiner()  #: of that part
        self._calls: dict[int, CallStream] = {}

    def append_text(self, delta: str, *, parent_id: str | None = None) -> None:
        """Append to the answer's text; opens a new part if another part came between.

        Raises:
            TypeError: `delta` is not a str.
            NotJson: `delta` contains a lone surrogate. A high surrogate at its end waits for the low one.
        """
        self._grow("text", delta, parent_id)

    def append_reasoning(self, delta: str, *, summary: str | None = None, parent_id: str | None = None) -> None:
        """Append to the reasoning; `summary` counts only when a part opens. Raises what `append_text` raises."""
        self._grow("reasoning", delta, parent_id, summary)

    def add_tool_call(
        self,
        name: str,
        args: Json = UNSET,
        *,
        id: str | None = None,  # the field's name
        parent_id: str | None = None,
    ) -> CallStream:
        """Open a tool call. Without `args`, stream its arguments with `CallStream.append_args`."""
        text = None if args is UNSET else arguments_text(args)
        call_id = id or new_id("call")
        number = self._start(
            chunks.ToolCallPart(tool_call_id=call_id, tool_name=name, parent_id=_maybe(parent_id)),
        )
        call = CallStream(self, number, call_id)
        self._calls[number] = call
        if text is not None:
            call.append_args(text)
            call.finish_args()
        return call

    def add_source(
        self,
        url: str,
        *,
        title: str | None = None,
        id: str | None = None,  # the field's name
        parent_id: str | None = None,
    ) -> None:
        """Add a web page that the answer cites."""
        part = chunks.SourcePart(id=id or new_id("src"), url=url, title=_maybe(title), parent_id=_maybe(parent_id))
        self._add(part)

    def add_file(self, data: str, mime_type: str, *, parent_id: str | None = None) -> None:
        """Add a file; `data` is base64 or a URL."""
        self._add(chunks.FilePart(data=data, mime_type=mime_type, parent_id=_maybe(parent_id)))

    def add_data_part(self, name: str, data: Json, *, parent_id: str | None = None) -> None:
        """Add application data with a name, as a part."""
        self._add(chunks.DataPart(name=name, data=to_json(data), parent_id=_maybe(parent_id)))

    def add_data(self, *data: Json) -> None:
        """Add application data outside the message."""
        self._send(chunks.Data(data=to_json(list(data))))

    def add_annotations(self, *annotations: Json) -> None:
        """Annotate the message as a whole."""
        self._send(chunks.Annotations(annotations=to_json(list(annotations))))

    def add_error(
        self,
        text: str,
        *,
        code: str | None = None,
        severity: Literal["critical", "warning", "info"] | None = None,
    ) -> None:
        """Show the user an error without ending the run. To fail the run, raise `AgentError`."""
        self._send(chunks.Failure(text=text, code=_maybe(code), severity=_maybe(severity)))

    @contextmanager
    def step(self, message_id: str | None = None) -> Iterator[Step]:
        """Mark a model call: `with run.parts.step() as step: …; step.usage = Usage(12, 34)`."""
        self._send(chunks.StepStarted(message_id=message_id or new_id("msg")))
        step = Step()
        try:
            yield step
        except BaseException:
            step.finish_reason = "error"
            raise
        finally:
            self.close()
            finished = chunks.StepFinished(
                finish_reason=step.finish_reason, usage=step.usage, is_continued=step.is_continued
            )
            self._send(finished)

    def finish(self, reason: chunks.FinishReason = "stop", usage: chunks.Usage | None = None) -> None:
        """Mark the message as complete, with the reason."""
        self.close()
        self._send(chunks.MessageFinished(finish_reason=reason, usage=usage or chunks.Usage()))

    def close(self) -> None:
        """Close all open parts. The run does so at its end."""
        self._close_text()
        for call in list(self._calls.values()):
            call.close()

    def _send(self, chunk: chunks.Chunk) -> None:
        try:
            size = len(msgspec.json.encode(chunk))
        except UnicodeEncodeError as error:
            raise NotJson("text without lone surrogates", repr(error.object[error.start])) from None
        if size > MAX_CHUNK:
            raise PartTooLarge(size, MAX_CHUNK)
        self._emit(chunk)

    def _grow(
        self, kind: Literal["text", "reasoning"], delta: str, parent_id: str | None, summary: str | None = None
    ) -> None:
        delta = check_text(delta)
        if self._open is None or self._open[1:] != (kind, parent_id):
            self._split = SurrogateJoiner()
            part: chunks.Part
            if kind == "text":
                part = chunks.TextPart(parent_id=_maybe(parent_id))
            else:
                part = chunks.ReasoningPart(parent_id=_maybe(parent_id), unstable_summary=_maybe(summary))
            self._open = (self._start(part), kind, parent_id)
        delta = self._split.join(delta)
        if delta:
            self._send(chunks.TextDelta(part=self._open[0], text=delta))

    def _add(self, part: chunks.Part) -> None:
        self._send(chunks.PartFinished(part=self._start(part)))

    def _start(self, part: chunks.Part) -> int:
        self._close_text()
        number = self._count
        self._send(chunks.PartStarted(part=number, init=part))
        self._count += 1
        return number

    def _close_text(self) -> None:
        if self._open is not None:
            self._send(chunks.PartFinished(part=self._open[0]))
            self._open = None


class CallStream:
    """A tool call among the parts. It accepts its arguments piece by piece, then its result."""

    def __init__(self, parts: Parts, number: int, id: str) -> None:  # the field's name
        self.id = id  #: the call's id
        self._parts = parts
        self._number = number
        self._split = SurrogateJoiner()
        self._grown = False  #: whether there is any text of the arguments
        self._args_finished = False
        self._closed = False

    def append_args(self, delta: str) -> None:
        """Append to the arguments' JSON text.

        Raises:
            OperationError: The arguments are finished.
            TypeError: `delta` is not a str.
            NotJson: `delta` contains a lone surrogate. A high surrogate at its end waits for the low one.
        """
        if self._args_finished:
            raise OperationError(f'the arguments of the tool call "{self.id}" are finished')
        delta = self._split.join(check_text(delta))
        if delta:
            self._grown = True
            self._parts._send(chunks.TextDelta(part=self._number, text=delta))

    def finish_args(self) -> None:
        """Mark the arguments as complete. If none were streamed, they are `{}`."""
        if not self._args_finished:
            if not self._grown:
                self.append_args("{}")
            self._args_finished = True
            self._parts._send(chunks.ArgsFinished(part=self._number))

    def set_result(
        self,
        result: Json,
        *,
        is_error: bool = False,
        artifact: Json = UNSET,
        model_content: list[Json] | msgspec.UnsetType = UNSET,
        messages: Json = UNSET,
    ) -> None:
        """Set the call's result, and close its part.

        Raises:
            OperationError: The call has a result or is closed.
        """
        if self._closed:
            raise OperationError(f'the tool call "{self.id}" is closed')
        chunk = chunks.ToolResult(
            part=self._number,
            result=to_json(result),
            is_error=is_error,
            artifact=_json(artifact),
            model_content=_json(model_content),
            messages=_json(messages),
        )
        self.finish_args()
        self._parts._send(chunk)
        self.close()

    def close(self) -> None:
        """Close the part. A call without a result stays open for the client to answer."""
        if not self._closed:
            self.finish_args()
            self._closed = True
            self._parts._calls.pop(self._number, None)
            self._parts._send(chunks.PartFinished(part=self._number))


class Step:
    """The report of a model call: why it ended, and its tokens."""

    def __init__(self) -> None:
        self.finish_reason: chunks.FinishReason = "stop"  #: why it ended
        self.usage = chunks.Usage()  #: tokens read and written
        self.is_continued = False  #: whether the next step continues the same message


def _maybe(value: _T | None) -> _T | msgspec.UnsetType:
    return UNSET if value is None else value


def _json(value: Json) -> Json:
    return UNSET if value is UNSET else to_json(value)
