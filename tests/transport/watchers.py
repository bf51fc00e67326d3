"""Everybody who watches the threads of a server: they see the one log, and nothing that a crash can take back."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from statecast.http.endpoints.events import Format
from statecast.protocol.entries import ENDED
from statecast.stores import Store
from statecast.threads import Thread
from statecast.threads.runs.execution import Execution
from statecast_agents import operations
from tests.transport.account import Account
from tests.transport.followers import Connection, View


class Watchers:
    """The readers of some threads.

    Args:
        account: Of what they see.
    """

    def __init__(self, account: Account) -> None:
        self.readers: list[Connection] = []
        self.past: list[View] = []  #: what each of them had, after each frame
        self._account = account

    def follow(self, thread: Thread, form: Format, view: View) -> None:
        """Follow a thread, from what a reader has of it, or of another one."""
        if not view.cursor.startswith(f"{thread.epoch}-"):
            view.revision = -1
        self.readers.append(Connection(thread, form=form, view=view))

    def read(self, reader: Connection, *, all: bool = False) -> None:
        """Let a reader take what there is, once, or until it is at the end."""
        if all:
            reader.read_all()
        else:
            reader.read()
        for view in reader.past:
            self._account.see(view.cursor, view.state, view.run)
        self.past += reader.past
        reader.past.clear()

    def compare(self, thread: Thread, *, everyone: bool) -> None:
        """Compare what a thread has, all of which may be shown, with what its readers have.

        A new one and the first of the others read to the end; or `everyone` does.
        """
        if thread.active is not None and not thread.active.begun:
            return  # until then nobody is shown anything
        revision, text = thread.snapshot()
        fresh = Connection(thread)
        others = self._readers_of(thread)
        for reader in [fresh, *(others if everyone else others[:1])]:
            self.read(reader, all=True)
            assert (reader.view.revision, reader.view.state) == (revision, msgspec.json.decode(text))
            texts = fresh.view.texts  # whoever comes later may have missed some
            assert reader.view.texts[len(reader.view.texts) - len(texts) :] == texts
        fresh.leave()
        run = fresh.view.run
        going = None if run is None or run["status"] in ENDED else run["id"]
        assert going == (None if thread.active is None else thread.active.id)

    async def compare_kept(self, thread: Thread, store: Store) -> None:
        """Compare what a thread has with what is kept of it, which is all of it."""
        revision, text = thread.snapshot()
        applied, waiting = thread.applied.copy(), {run.id for run in live(thread) if not run.begun}
        saved = await store.load(thread.key)  # which looks at once, and may take its time to say what it found
        assert saved is not None
        state = msgspec.json.decode(saved.state)
        for place, (number, kind, data) in enumerate(saved.entries, saved.revision + 1):
            assert number == place
            if kind == "operations":
                state = operations.apply(state, operations.decode(data))
        assert (saved.revision + len(saved.entries), state) == (revision, msgspec.json.decode(text))
        assert (saved.epoch, saved.applied) == (thread.epoch, applied)
        assert {run_id for run_id, _ in saved.inbox} == waiting

    async def compare_shown(self, thread: Thread, store: Store) -> None:
        """Let everyone read, and see nothing that is not kept."""
        saved = await store.load(thread.key)
        end = -1 if saved is None else saved.revision + len(saved.entries)
        fresh = Connection(thread)
        for reader in [fresh, *self._readers_of(thread)]:
            self.read(reader)
            assert reader.view.revision <= end
        fresh.leave()

    def _readers_of(self, thread: Thread) -> Sequence[Connection]:
        return [reader for reader in self.readers if reader.thread is thread]


def live(thread: Thread) -> list[Execution]:
    """Return the runs of a thread that are under way, or to begin."""
    return thread.queue.live
