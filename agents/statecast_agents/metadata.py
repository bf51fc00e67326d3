"""The metadata of an assistant's message: token counts, model, finish reason, and timing.

It has assistant-ui's own shape, `{"steps": [{"usage"}], "timing", "custom": {"modelId", "finishReason", …}}`. The usage
of a message is the sum of its steps. Source: docs/protocol/messages.md, "Metadata".

Clients may send states with any JSON in place of metadata; reading them never raises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

import msgspec
from msgspec import UNSET, UnsetType

from .chunks import FinishReason, Usage
from .document import to_json
from .tracked import TrackedDict
from .values import Json

__all__ = ["MetadataWriter", "Report", "Timing", "report_of", "steps_in"]

_FINISH_REASONS: Final = frozenset(get_args(FinishReason))


class Timing(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How long a message took, as assistant-ui shows it. Durations are in milliseconds."""

    stream_start_time: float  #: milliseconds since 1970
    first_token_time: float | UnsetType = UNSET  #: since the start
    total_stream_time: float | UnsetType = UNSET
    token_count: int | UnsetType = UNSET
    tokens_per_second: float | UnsetType = UNSET
    total_chunks: int = 0
    tool_call_count: int = 0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the metadata of messages say of the model calls."""

    usage: Usage | None = None  #: of all steps; None: nothing said
    finish_reason: FinishReason | None = None  #: of the last message that says one
    more: Mapping[str, Json] = {}  #: the custom fields, `modelId` among them, and the timing, of the last such message

    def __add__(self, later: Report) -> Report:
        """Return the report of these messages and later ones."""
        usage = later.usage if self.usage is None else self.usage if later.usage is None else self.usage + later.usage
        return Report(
            usage=usage,
            finish_reason=later.finish_reason or self.finish_reason,
            more={**self.more, **later.more},
        )


class MetadataWriter:
    """Write the metadata of a message."""

    message: TrackedDict

    def set_metadata(
        self,
        *,
        usage: Usage | None = None,
        steps: Sequence[Usage] | None = None,
        model: str | None = None,
        finish_reason: FinishReason | None = None,
        timing: Timing | None = None,
        custom: Mapping[str, Json] | None = None,
    ) -> None:
        """Set what is given of the message's metadata; None leaves a field as it is.

        Every protocol that has a field for it shows it: pages of assistant-ui as the message's metadata, others with
        the end of the answer.

        Args:
            usage: Tokens of the whole message; short for `steps=[usage]`.
            steps: Tokens of each model call that wrote it, in order.
            model: The model's name.
            finish_reason: Why the model ended the message.
            timing: How long it took.
            custom: Further fields of the application.

        Raises:
            NotJson: A state cannot hold a custom field.
        """
        given: dict[str, Json] = {"modelId": model, "finishReason": finish_reason}
        more = {name: value for name, value in given.items() if value is not None} | to_json(dict(custom or {}))
        steps = [usage] if steps is None and usage is not None else steps
        with self.message._document.lock:
            metadata = _branch(self.message, "metadata")
            if steps is not None:
                metadata["steps"] = [{"usage": step} for step in steps]
            if timing is not None:
                metadata["timing"] = timing
            _branch(metadata, "custom").update(more)


def report_of(metadata: Json, known: Sequence[Json] = ()) -> Report:
    """Return what the metadata of a message say.

    Args:
        metadata: Any JSON.
        known: The steps that a client has been told of before; what it has left of them is not reported again.
    """
    if not isinstance(metadata, dict):
        return Report()
    steps = steps_in(metadata)
    known = known if steps[: len(known)] == list(known) else ()
    usages = [usage for step in steps[len(known) :] if (usage := _usage(step)) is not None]
    custom = metadata.get("custom")
    custom = custom if isinstance(custom, dict) else {}
    reason = custom.get("finishReason")
    timing = {"timing": metadata["timing"]} if isinstance(metadata.get("timing"), dict) else {}
    return Report(
        usage=sum(usages[1:], usages[0]) if usages else None,
        finish_reason=reason if isinstance(reason, str) and reason in _FINISH_REASONS else None,  # type: ignore[arg-type]
        more={**custom, **timing},
    )


def steps_in(metadata: Json) -> list[Json]:
    """Return the steps in metadata, which may be any JSON."""
    steps = metadata.get("steps") if isinstance(metadata, dict) else None
    return steps if isinstance(steps, list) else []


def _usage(step: Json) -> Usage | None:
    try:
        return msgspec.convert(step["usage"], Usage)
    except (msgspec.ValidationError, KeyError, TypeError):
        return None


def _branch(container: TrackedDict, key: str) -> Any:
    if not isinstance(container.get(key), dict):
        container[key] = {}
    return container[key]
