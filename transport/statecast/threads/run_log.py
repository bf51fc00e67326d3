"""The line that the log has of each run: INFO of the logger `statecast.runs`, its facts as fields of the record."""

from __future__ import annotations

import logging
from typing import Any, Final

import msgspec

from .observer import ObservedRun, Observer

__all__ = ["RunLog"]

_log: Final = logging.getLogger("statecast.runs")


class RunLog(Observer):
    """Logs each run when it has ended."""

    def run_ended(self, run: ObservedRun) -> None:
        if not _log.isEnabledFor(logging.INFO):
            return
        fields: dict[str, Any] = {
            "run_id": run.id,
            "thread_id": run.thread_id,
            "agent": run.agent,
            "status": run.state.status,
            "queued_seconds": round(run.queued_seconds, 6),
            "seconds": round(run.seconds, 6),
            "entries": run.entries,
            "operations": run.operations,
        }
        if run.answered is not None and run.begun is not None:
            fields["first_entry_seconds"] = round(run.answered - run.begun, 6)
        if run.tries:
            fields["tries"] = run.tries
        if run.state.error is not None:
            fields["error"] = run.state.error.code
        usage = run.answer().usage
        if usage is not None:
            fields |= {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
        _log.info("run %s", " ".join(f"{name}={_text(value)}" for name, value in fields.items()), extra=fields)


def _text(value: Any) -> str:
    """Return a value in one word: a thread's id and an agent's name may hold spaces, quotes, and line ends."""
    text = str(value)
    return text if text.isascii() and text.isprintable() and " " not in text else msgspec.json.encode(text).decode()
