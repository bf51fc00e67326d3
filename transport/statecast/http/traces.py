"""`Traces`: how an app traces its runs. The spans themselves are in `run_spans`, which needs the extra `otel`."""

from __future__ import annotations

from typing import Any

import msgspec

from statecast_agents.settings import check_switch

__all__ = ["Traces"]


class Traces(msgspec.Struct, frozen=True, kw_only=True):
    """How runs are traced with OpenTelemetry."""

    content: bool = False  #: whether spans have the messages that users and agents wrote
    provider: Any = None  #: a `TracerProvider` of OpenTelemetry; None: the global one

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            TypeError: A setting is of the wrong kind.
        """
        check_switch("Traces.content", self.content)
        if self.provider is not None and not callable(getattr(self.provider, "get_tracer", None)):
            raise TypeError(f"expected Traces.provider to be a TracerProvider of OpenTelemetry, got {self.provider!r}")
