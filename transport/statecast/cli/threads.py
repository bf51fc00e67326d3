"""`statecast threads`, `show`, `cancel`, `export`, `import`: threads of a server, or of a store that no server has."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import URL, number
from .failures import fail

if TYPE_CHECKING:
    from statecast.console.threads import Open

__all__ = ["add_commands"]

THREADS = """
  statecast threads
  statecast threads --store sqlite:///statecast.db --json
"""
SHOW = """
  statecast show t-1
  statecast show t-1 --json | jq .state
"""
CANCEL = """
  statecast cancel t-1
  statecast cancel t-1 --queued --url https://agents.example.com
"""
EXPORT = """
  statecast export t-1 --to t-1.json
  statecast export t-1 --store sqlite:///statecast.db --to t-1.json
"""
IMPORT = """
  statecast import t-1.json
  statecast import t-1.json --thread t-2 --url https://agents.example.com
  statecast export t-1 --store sqlite:///old.db | statecast import
"""


def add_commands(commands: Any) -> None:
    """Add the commands to a parser."""
    threads = commands.add_parser("threads", help="list the threads of a server or a store", examples=THREADS)
    threads.add_argument("--limit", type=number, default=50, metavar="NUMBER", help="how many (default: %(default)s)")
    threads.add_argument("--json", action="store_true", help="one line of JSON per thread")
    show = commands.add_parser("show", help="print the messages of a thread and the status of its run", examples=SHOW)
    show.add_argument("--json", action="store_true", help="print the state and the run as JSON")
    cancel = commands.add_parser("cancel", help="stop the run of a thread", examples=CANCEL)
    cancel.add_argument("--queued", action="store_true", help="also drop the commands queued behind it")
    export = commands.add_parser("export", help="write a thread as one JSON document", examples=EXPORT)
    export.add_argument("--to", type=Path, metavar="FILE", help="the file (default: the standard output)")
    imports = commands.add_parser("import", help="make a thread of a document, and print its id", examples=IMPORT)
    imports.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the document (default: standard input)")
    imports.add_argument("--thread", metavar="ID", help="the id of the new thread (default: a new one)")
    for command in (show, cancel, export):
        command.add_argument("thread", metavar="THREAD", help="the thread's id")
    for command in (threads, show, export):
        command.add_argument("--store", metavar="URL", help="read a store instead of asking a server")
        command.add_argument(
            "--owner",
            metavar="ID",
            help="the user whose threads are read from the store (default: threads without a user)",
        )
    for command in (threads, show, cancel, export, imports):
        command.add_argument("--url", **URL)
        command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        from statecast import console  # what it draws with is an extra
        from statecast.console import sources, threads
    except ImportError as error:
        return fail(error)
    server = partial(sources.at_server, options.url)
    if options.command == "cancel":
        return console.run(threads.cancel(server, options.thread, queued=options.queued))
    if options.command == "import":
        return console.run(threads.import_(server, options.file, options.thread))
    if options.owner is not None and options.store is None:
        return fail("expected --owner together with --store; a server knows the user from the request")
    open: Open = server if options.store is None else partial(sources.in_store, options.store, options.owner)
    if options.command == "export":
        return console.run(threads.export(open, options.thread, options.to))
    if options.command == "threads":
        return console.run(threads.list_threads(open, limit=options.limit, lines=options.json))
    return console.run(threads.show(open, options.thread, as_json=options.json))
