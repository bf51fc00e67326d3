"""`statecast threads`, `show`, `cancel`, `export` and `import`: what they print."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
from rich.text import Text

from statecast_agents import Json

from .answer import text_of
from .output import OUT, STATUS_STYLES, report, visible, write
from .sources import Listed, Server, Source

__all__ = ["Open", "cancel", "export", "import_", "list_threads", "show"]

#: Opens where the threads are.
Open: TypeAlias = Callable[[], AbstractAsyncContextManager[Source]]

OK: Final = 0
FAILED: Final = 1

#: How the roles of messages are marked on a terminal.
ROLES: Final = {"user": "bold cyan", "assistant": "bold green", "system": "bold magenta"}


async def list_threads(open: Open, *, limit: int, lines: bool) -> int:
    """Print a line for each thread: when its last message came, its id, and its title; the latest first.

    Args:
        open: Opens where they are.
        limit: Threads at most.
        lines: Whether each is to be a line of JSON.
    """
    shown = 0
    async with open() as source:
        async for thread in source.threads():
            if shown == limit:
                report(f"there are more; --limit {limit * 10} shows up to {limit * 10}")
                break
            write(_json(thread)) if lines else OUT.print(_line(thread), soft_wrap=True)
            shown += 1
    if not shown and not lines:
        report("there are no threads")
    return OK


async def show(open: Open, thread_id: str, *, as_json: bool) -> int:
    """Print a thread: its messages, and on stderr what its run does; or the state and the run as JSON."""
    async with open() as source:
        thread = await source.thread(thread_id)
    if as_json:
        write(_json(thread))
        return OK
    messages = thread.state.get("messages") if isinstance(thread.state, dict) else None
    for message in messages if isinstance(messages, list) else []:
        if isinstance(message, dict):
            role = str(message.get("role"))
            said = Text.assemble((f"{visible(role)}: ", ROLES.get(role, "bold")), visible(_shown(message)))
            OUT.print(said, soft_wrap=True)
    if not isinstance(messages, list):
        report("the state has no messages; --json shows all of it")
    status = "idle" if thread.run is None else thread.run.status
    report(f"{status}, revision {thread.revision}", style=STATUS_STYLES.get(status, ""))
    if thread.run is not None and thread.run.error is not None:
        report(f"{thread.run.error.code}: {thread.run.error.message}")
    return OK


async def cancel(open: Callable[[], AbstractAsyncContextManager[Server]], thread_id: str, *, queued: bool) -> int:
    """Cancel the run of a thread; the status says whether there was one."""
    async with open() as server:
        cancelled = await server.cancel(thread_id, queued=queued)
    report("cancelled" if cancelled else "no run is active")
    return OK if cancelled else FAILED


async def export(open: Open, thread_id: str, to: Path | None) -> int:
    """Print a thread as one document of JSON, or write it into a file."""
    async with open() as source:
        document = _json(await source.export(thread_id))
    if to is None:
        write(document)
    else:
        try:
            await asyncio.to_thread(to.write_text, document, encoding="utf-8")
        except OSError as error:
            report(f"statecast: {to} cannot be written: {error.strerror}")
            return FAILED
        report(f"{to}: {len(document.encode())} bytes")
    return OK


async def import_(
    open: Callable[[], AbstractAsyncContextManager[Server]], file: Path | None, thread_id: str | None
) -> int:
    """Make a thread of a document on a server, and print its id.

    Args:
        open: Opens the server.
        file: Where the document is; None: on the standard input.
        thread_id: The id of the new thread; None: any.
    """
    try:
        read = sys.stdin.buffer.read if file is None else file.read_bytes
        document = msgspec.json.decode(await asyncio.to_thread(read), type=dict[str, Any])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        report(f"statecast: expected a document that `statecast export` wrote: {error}")
        return FAILED
    document.pop("threadId", None)  # it becomes a thread beside the one that it was
    async with open() as server:
        made = await server.import_(document if thread_id is None else {**document, "threadId": thread_id})
    write(f"{made}\n")
    return OK


def _line(thread: Listed) -> Text:
    archived = " (archived)" if thread.status == "archived" else ""
    title = visible(thread.title or "").replace("\n", " ")
    when = f"{thread.last_message_at[:16].replace('T', ' ')}  "
    return Text.assemble((when, "dim"), (f"{thread.remote_id}  ", "bold"), title, (archived, "dim"))


def _shown(message: dict[str, Json]) -> str:
    """Return the text of a message, and a line for each of its calls."""
    parts = message.get("parts")
    objects = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    lines = [f"{part.get('toolName')} {part.get('argsText')}" for part in objects if part.get("type") == "tool-call"]
    return "\n".join([text for text in (text_of(message), *lines) if text])


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode() + "\n"
