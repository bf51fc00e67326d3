"""How the command line writes its log: as lines of text, or as one JSON object a line."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, Final

from .colors import painted

__all__ = ["FORMATS", "LEVELS", "set_up_logging"]

FORMATS: Final = ("text", "json")
LEVELS: Final = ("debug", "info", "warning", "error")

#: Of the levels that have one.
COLORS: Final = {"DEBUG": "dim", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}

TIME: Final = "%Y-%m-%dT%H:%M:%S"

#: What every record has; whatever else a record has is a field of its own.
_USUAL: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON: `time`, `level`, `logger`, `message`, and the fields of the record."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": f"{time.strftime(TIME, time.gmtime(record.created))}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _USUAL and name not in line}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """Writes a record as its level and its message; on a terminal, what is out of the ordinary has a color."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        text, level = super().format(record), record.levelname
        return painted(level, COLORS[level], sys.stderr) + text[len(level) :] if level in COLORS else text


def set_up_logging(*, level: str = "info", format: str = "text") -> None:
    """Write the log to the standard error.

    Args:
        level: One of `LEVELS`.
        format: One of `FORMATS`.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler])
