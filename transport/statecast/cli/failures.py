"""What the command line says when it cannot do something: a line, and of code of the user its own file and line."""

from __future__ import annotations

import errno
import socket
import sys
import traceback
from typing import Final

from statecast.colors import painted
from statecast.threads.tracebacks import from_the_users, is_the_users

__all__ = ["USAGE", "check_port", "fail", "fail_loading", "loading_failure"]

USAGE: Final = 2  #: the exit status: something is wrong with what was asked for


def fail(reason: object, *, status: int = USAGE) -> int:
    """Print why a command failed; return its exit status."""
    print(f"{painted('statecast:', 'red', sys.stderr)} {reason}", file=sys.stderr, flush=True)
    return status


def fail_loading(error: BaseException) -> int:
    """Print why the app of a target could not be made; return the exit status.

    What was raised by the user's own code, which importing runs, is printed with its traceback from there on.
    """
    reason, trace = loading_failure(error)
    print(trace, end="", file=sys.stderr)
    return fail(reason)


def loading_failure(error: BaseException) -> tuple[str, str]:
    """Return why the app of a target could not be made, and the traceback of the user's own code, if there is one."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        trace = "".join(traceback.format_exception(type(error), error, None))
        return f"cannot import {error.filename}, line {error.lineno}", trace
    if not is_the_users(error):
        return str(error), ""
    kind, raised, frames = from_the_users(error)
    first = traceback.extract_tb(frames)[0]
    trace = "".join(traceback.format_exception(kind, raised, frames))
    return f"cannot import {first.filename}, line {first.lineno}", trace


def check_port(host: str, port: int) -> str | None:
    """Return what to do if another process listens at a port; None if none does."""
    if port == 0:
        return None
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return None  # the server says what is wrong
            return (
                f"port {port} of {host} is taken by another process: stop that one, or give another port, such as "
                f"--port {port + 1 if port < 65_535 else 0}, or --port 0 for any that is free"
            )
    return None
