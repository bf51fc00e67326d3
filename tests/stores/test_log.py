"""What every store does with logs of threads. To add one, add its line to `STORES`, in `several`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statecast.protocol import ChunkEntry, Entry, OperationsEntry, RunEntry, RunError, RunState
from statecast.stores import (
    MEMORY,
    Appended,
    Assigned,
    BatchAccepted,
    BatchApplied,
    BatchChanged,
    BatchSettled,
    Change,
    ChangeRefused,
    Compacted,
    Created,
    Deleted,
    Key,
    Moved,
    RecordErased,
    RecordWritten,
    Renewed,
    SavedThread,
    Store,
    read_entry,
    write_entry,
)
from statecast.stores.log import Kind
from statecast_agents import chunks
from tests.stores.every_store import STORES, Make, Ticks, reopened
from tests.stores.model import KEYS, Held, after, holds, script, shown
from tests.stores.small_store import little

pytestmark = pytest.mark.anyio

Limits = Callable[[], AbstractContextManager[None]]

KEY = Key(None, "t")
BYTES = bytes(range(256))
CREATED = Created(KEY, "agent", "epoch", True, b'{"n":0}')


async def loaded(store: Store, key: Key = KEY) -> SavedThread:
    saved = await store.load(key)
    assert saved is not None
    return saved


def entry(revision: int, open: bool | None = None, key: Key = KEY) -> Appended:
    return Appended(key, revision, "run" if open is not None else "operations", b"%d" % revision, open)


async def test_an_empty_store_knows_nothing(store: Store) -> None:
    assert await store.load(KEY) is None
    assert await store.unfinished() == []
    for lasting in (True, False):
        assert await store.idle_for(-1e9, lasting=lasting) == []


@pytest.mark.parametrize("lasting", [True, False])
async def test_a_thread_is_as_it_was_created(store: Store, lasting: bool) -> None:
    await store.commit([Created(KEY, "mine", "e1", lasting, b'{"a":1}')])

    assert await store.load(KEY) == SavedThread(
        key=KEY,
        agent="mine",
        epoch="e1",
        lasting=lasting,
        revision=0,
        state=b'{"a":1}',
        run=b"null",
        entries=[],
        inbox=[],
        applied={},
        memory=[],
    )
    assert await store.unfinished() == []
    assert await store.load(Key(None, "other")) is None


async def test_a_memory_is_loaded_with_its_thread_and_goes_where_it_goes(store: Store, make: Make) -> None:
    written = [RecordWritten(KEY, MEMORY, str(number), BYTES[number:]) for number in (1, 10, 2)]
    await store.commit([CREATED, *written, RecordWritten(KEY, "other", "3", b"other"), entry(1)])
    await store.commit([RecordErased(KEY, MEMORY, "10"), RecordWritten(KEY, MEMORY, "1", b"again")])
    expected = [("1", b"again"), ("2", BYTES[2:])]
    assert list((await loaded(store)).memory) == expected

    await store.commit([Created(Key("ann", "u"), "agent", "epoch", True, b"0"), Moved(KEY, "ann")])
    store = await reopened(store, make)
    assert list((await loaded(store, Key("ann", "t"))).memory) == expected
    assert list((await loaded(store, Key("ann", "u"))).memory) == []

    await store.commit([Deleted(Key("ann", "t")), Created(Key("ann", "t"), "agent", "epoch", True, b"0")])
    assert list((await loaded(store, Key("ann", "t"))).memory) == []


async def test_entries_come_back_in_their_order(store: Store) -> None:
    kinds: tuple[Kind, ...] = ("operations", "chunk", "run")
    await store.commit([CREATED, *(Appended(KEY, n, kinds[n % 3], b"%d" % n) for n in range(1, 8))])
    await store.commit([Appended(KEY, 8, "chunk", BYTES)])

    expected = [(n, kinds[n % 3], b"%d" % n) for n in range(1, 8)]
    assert list((await loaded(store)).entries) == [*expected, (8, "chunk", BYTES)]


ENTRIES: list[Entry] = [
    OperationsEntry(1, b'[{"type":"set","path":["\xc3\xa4"],"value":"\\u0000"}]'),
    ChunkEntry(1, "run_1", chunks.PartStarted(part=3, init=chunks.TextPart())),
    ChunkEntry(1, "run_1", chunks.TextDelta(part=0, text="ä\x00🌍")),
    RunEntry(1, RunState("run_1", "running")),
    RunEntry(1, RunState("run_1", "failed", RunError("no_luck", "No luck – at all."))),
]


@pytest.mark.parametrize("written", ENTRIES, ids=lambda entry: type(entry).__name__)
async def test_what_the_engine_writes_it_reads_again(store: Store, written: Entry) -> None:
    await store.commit([CREATED, Appended(KEY, 1, *write_entry(written))])
    (found,) = (await loaded(store)).entries
    assert read_entry(*found) == written


async def test_a_thread_is_unsettled_while_its_run_goes_on(store: Store) -> None:
    for number, (open, unsettled) in enumerate([(None, []), (True, [KEY]), (None, [KEY]), (False, []), (True, [KEY])]):
        await store.commit([CREATED] if number == 0 else [])
        await store.commit([entry(number + 1, open)])
        assert await store.unfinished() == unsettled


async def test_a_thread_is_unsettled_while_something_is_in_its_inbox(store: Store) -> None:
    await store.commit([CREATED, BatchAccepted(KEY, "r1", b"1"), BatchAccepted(KEY, "r2", b"2")])
    assert await store.unfinished() == [KEY]
    await store.commit([BatchSettled(KEY, "r1")])
    assert await store.unfinished() == [KEY]
    await store.commit([BatchSettled(KEY, "r2")])
    assert await store.unfinished() == []


async def test_an_inbox_keeps_the_order_in_which_batches_were_accepted(store: Store, make: Make) -> None:
    names = ["r9", "r1", "r5", "a", "Z", "ä", "r2"]
    await store.commit([CREATED, *(BatchAccepted(KEY, name, name.encode()) for name in names[:4])])
    await store.commit([BatchSettled(KEY, "r1")])
    await store.commit([BatchAccepted(KEY, name, name.encode()) for name in names[4:]])
    expected = [(name, name.encode()) for name in names if name != "r1"]
    assert list((await loaded(store)).inbox) == expected

    store = await reopened(store, make)
    await store.commit([BatchSettled(KEY, "r2"), BatchAccepted(KEY, "r1", b"again")])
    assert list((await loaded(store)).inbox) == [*expected[:-1], ("r1", b"again")]
    await store.aclose()


async def test_a_batch_that_is_amended_keeps_its_place(store: Store) -> None:
    await store.commit([CREATED, *(BatchAccepted(KEY, name, BYTES) for name in ("r1", "r2", "r3"))])
    await store.commit([BatchChanged(KEY, "r2", b"other")])
    assert list((await loaded(store)).inbox) == [("r1", BYTES), ("r2", b"other"), ("r3", BYTES)]


async def test_a_batch_that_has_left_the_inbox_is_not_amended(store: Store) -> None:
    await store.commit(
        [CREATED, BatchAccepted(KEY, "r1", BYTES), BatchSettled(KEY, "r1"), BatchChanged(KEY, "r1", b"other")]
    )
    assert list((await loaded(store)).inbox) == []


async def test_settling_what_is_not_there_changes_nothing(store: Store) -> None:
    await store.commit([CREATED, BatchAccepted(KEY, "r1", BYTES)])
    await store.commit([BatchSettled(KEY, "r0")])
    assert list((await loaded(store)).inbox) == [("r1", BYTES)]


async def test_applied_ids_stand_for_a_command_and_its_run(store: Store) -> None:
    await store.commit([CREATED, BatchApplied(KEY, "c1", BYTES, "r1"), BatchApplied(KEY, "c2", b"", "r1")])
    await store.commit([BatchApplied(KEY, "c3", b"3", "r2")])
    assert (await loaded(store)).applied == {"c1": (BYTES, "r1"), "c2": (b"", "r1"), "c3": (b"3", "r2")}


async def test_an_id_that_is_applied_again_stands_for_the_later(store: Store) -> None:
    await store.commit([CREATED, BatchApplied(KEY, "c", b"1", "r1"), BatchApplied(KEY, "c", b"2", "r2")])
    assert (await loaded(store)).applied == {"c": (b"2", "r2")}


async def test_a_snapshot_takes_the_place_of_the_entries_up_to_it(store: Store) -> None:
    rest: list[Change] = [BatchAccepted(KEY, "r1", b"1"), BatchApplied(KEY, "c1", b"d", "r0")]
    await store.commit([CREATED, *(entry(n) for n in range(1, 6)), *rest])
    await store.commit([Compacted(KEY, 3, b'{"n":3}', b'{"id":"r0","status":"completed"}')])

    saved = await loaded(store)
    assert (saved.revision, saved.state, saved.run) == (3, b'{"n":3}', b'{"id":"r0","status":"completed"}')
    assert [revision for revision, _, _ in saved.entries] == [4, 5]
    assert (list(saved.inbox), saved.applied) == ([("r1", b"1")], {"c1": (b"d", "r0")})
    assert (saved.epoch, saved.agent, saved.lasting) == ("epoch", "agent", True)

    await store.commit([entry(6), Compacted(KEY, 6, b"6", b"null"), entry(7)])
    saved = await loaded(store)
    assert (saved.revision, saved.state, saved.run) == (6, b"6", b"null")
    assert [revision for revision, _, _ in saved.entries] == [7]


async def test_a_snapshot_settles_nothing(store: Store) -> None:
    await store.commit([CREATED, entry(1, True), Compacted(KEY, 1, b"1", b"null")])
    assert await store.unfinished() == [KEY]


async def test_deleting_a_thread_removes_all_of_it(store: Store, make: Make) -> None:
    other = Key(None, "other")
    full: list[Change] = [
        change
        for key in (KEY, other)
        for change in (
            Created(key, "agent", "e1", True, b"1"),
            entry(1, True, key),
            BatchAccepted(key, "r1", b"1"),
            BatchApplied(key, "c1", b"d", "r1"),
        )
    ]
    await store.commit(full)
    kept = await loaded(store, other)
    await store.commit([Deleted(KEY)])
    store = await reopened(store, make)

    assert await store.load(KEY) is None
    assert await store.unfinished() == [other]
    assert await store.idle_for(-1e9, lasting=True) == [other]
    await store.commit([Created(KEY, "agent", "e2", True, b"2")])
    again = await loaded(store)
    assert (again.epoch, list(again.entries), list(again.inbox), again.applied) == ("e2", [], [], {})
    assert await loaded(store, other) == kept
    await store.aclose()


async def test_deleting_what_is_not_there_changes_nothing(store: Store) -> None:
    await store.commit([Deleted(KEY), CREATED, Deleted(Key("ann", "t")), Deleted(Key(None, "u"))])
    assert await store.load(KEY) is not None


OWNERS = [
    None,
    "",
    "=",
    "==",
    "ann",
    "Ann",
    "=ann",
    "ann ",
    "änn",
    "a'n\"n;--",
    "ann\x00",
    "ann\x00b",
    "🌍",
    "%",
    "a:b",
]


async def test_owners_do_not_see_each_others_threads(store: Store, make: Make) -> None:
    keys = [Key(owner, "t") for owner in OWNERS] + [Key("a", "b:t"), Key("a", "T")]
    for number, key in enumerate(keys):
        await store.commit([Created(key, "agent", f"e{number}", True, b"%d" % number), entry(1, True, key)])
    await store.commit([Appended(keys[4], 2, "operations", b"ann's")])
    store = await reopened(store, make)

    for number, key in enumerate(keys):
        saved = await loaded(store, key)
        assert (saved.key, saved.epoch, saved.state) == (key, f"e{number}", b"%d" % number)
        assert len(saved.entries) == 1 + (number == 4)
    assert set(await store.unfinished()) == set(keys)
    assert set(await store.idle_for(-1e9, lasting=True)) == set(keys)

    await store.commit([Deleted(keys[0])])
    assert set(await store.unfinished()) == set(keys[1:])
    await store.aclose()


async def test_a_renewed_thread_has_another_epoch_and_is_the_same_otherwise(store: Store, make: Make) -> None:
    await store.commit([CREATED, entry(1)])
    before = await loaded(store)
    await store.commit([Renewed(KEY, "another")])
    store = await reopened(store, make)
    assert await loaded(store) == msgspec.structs.replace(before, epoch="another")
    await store.aclose()


REFUSED: dict[str, list[Change]] = {
    "an entry of an unknown thread": [entry(1, key=Key(None, "unknown"))],
    "a batch for an unknown thread": [BatchAccepted(Key("ann", "t"), "r", b"")],
    "another agent for an unknown thread": [Assigned(Key(None, "unknown"), "other")],
    "a snapshot of an unknown thread": [Compacted(Key(None, "unknown"), 1, b"", b"null")],
    "another epoch of an unknown thread": [Renewed(Key(None, "unknown"), "other")],
    "an id of an unknown thread": [BatchApplied(Key(None, "unknown"), "c", b"", "r")],
    "a thread that is there already": [CREATED],
    "a thread twice": [Created(Key(None, "new"), "a", "e", True, b""), Created(Key(None, "new"), "a", "e", True, b"")],
    "an entry of a thread just deleted": [Deleted(KEY), entry(9)],
}


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
async def test_a_batch_is_written_whole_or_not_at_all(store: Store, make: Make, refused: list[Change]) -> None:
    await store.commit([CREATED, entry(1)])
    before = await loaded(store)
    good: list[Change] = [
        Created(Key(None, "second"), "agent", "e", True, b"2"),
        entry(2, True),
        BatchAccepted(KEY, "r1", b"1"),
        BatchApplied(KEY, "c1", b"d", "r1"),
        Compacted(KEY, 1, b"1", b"null"),
    ]
    for batch in ([*good, *refused], [*good[:2], *refused, *good[2:]]):
        with pytest.raises(ChangeRefused):
            await store.commit(batch)
        assert await loaded(store) == before
        assert await store.load(Key(None, "second")) is None
        assert await store.unfinished() == []

    await store.commit(good)
    store = await reopened(store, make)
    assert list((await loaded(store)).entries) == [(2, "run", b"2")]
    assert (await loaded(store, Key(None, "second"))).state == b"2"
    await store.aclose()


async def test_nothing_may_be_committed(store: Store) -> None:
    await store.commit([])
    await store.commit(())


async def test_a_thread_may_come_and_go_and_come_in_one_batch(store: Store) -> None:
    again = Created(KEY, "agent", "e2", False, b"2")
    await store.commit([CREATED, entry(1, True), BatchAccepted(KEY, "r", b""), Deleted(KEY), again, entry(1)])
    saved = await loaded(store)
    assert (saved.epoch, saved.lasting, list(saved.entries)) == ("e2", False, [(1, "operations", b"1")])
    assert await store.unfinished() == []


async def test_sizes_are_no_matter(store: Store, make: Make) -> None:
    state, large = b'"%s"' % (b"x" * 20_000_000), BYTES * 10_000
    few: list[Change] = [BatchAccepted(KEY, "r", large), BatchApplied(KEY, "ü" * 128, large[:32], "r")]
    await store.commit([msgspec.structs.replace(CREATED, state=state), *few, Appended(KEY, 1, "chunk", large)])
    await store.commit([entry(n) for n in range(2, 5_001)])
    store = await reopened(store, make)

    saved = await loaded(store)
    assert saved.state == state
    assert next(iter(saved.entries)) == (1, "chunk", large)
    assert [revision for revision, _, _ in saved.entries] == list(range(1, 5_001))
    assert list(saved.inbox) == [("r", large)]
    assert saved.applied == {"ü" * 128: (large[:32], "r")}
    await store.aclose()


@pytest.mark.parametrize("text", ["ü", "🌍", "a\x00b", "", " ", "'; DROP TABLE threads; --", "\u2028", "a" * 1_000])
async def test_texts_come_back_as_they_were(store: Store, make: Make, text: str) -> None:
    thread = Created(KEY, text, text, True, text.encode())
    await store.commit([thread, BatchApplied(KEY, text, text.encode(), text), BatchAccepted(KEY, text, text.encode())])
    store = await reopened(store, make)
    saved = await loaded(store)
    assert (saved.agent, saved.epoch, saved.state) == (text, text, text.encode())
    assert saved.applied == {text: (text.encode(), text)}
    assert list(saved.inbox) == [(text, text.encode())]
    await store.aclose()


@pytest.mark.parametrize("data", [b"", b"null", BYTES, b"\xff\xfe\x00"])
async def test_bytes_come_back_as_they_were(store: Store, data: bytes) -> None:
    await store.commit([Created(KEY, "agent", "e", True, data), Appended(KEY, 1, "chunk", data)])
    saved = await loaded(store)
    assert (saved.state, list(saved.entries)) == (data, [(1, "chunk", data)])
    await store.commit([Compacted(KEY, 1, data, data)])
    saved = await loaded(store)
    assert (saved.state, saved.run, list(saved.entries)) == (data, data, [])


async def test_revisions_may_grow_as_far_as_clients_can_count(store: Store) -> None:
    await store.commit([CREATED, Compacted(KEY, 2**53 - 2, b"1", b"null"), entry(2**53 - 1)])
    saved = await loaded(store)
    assert (saved.revision, [revision for revision, _, _ in saved.entries]) == (2**53 - 2, [2**53 - 1])


async def test_what_was_loaded_does_not_change_afterwards(store: Store) -> None:
    await store.commit([CREATED, entry(1), BatchAccepted(KEY, "r1", b"1"), BatchApplied(KEY, "c1", b"d", "r1")])
    before = await loaded(store)
    copy = msgspec.structs.replace(
        before, entries=list(before.entries), inbox=list(before.inbox), applied=dict(before.applied)
    )
    await store.commit(
        [entry(2), BatchSettled(KEY, "r1"), BatchApplied(KEY, "c2", b"d", "r1"), Compacted(KEY, 1, b"1", b"null")]
    )
    assert before == copy
    before.applied.clear()
    assert set((await loaded(store)).applied) == {"c1", "c2"}


async def test_idle_threads_are_those_not_written_to_since(store: Store, ticks: Ticks) -> None:
    busy, idle, nameless = Key(None, "busy"), Key(None, "idle"), Key("ann", "nameless")
    for key in (busy, idle, nameless):
        await store.commit([Created(key, "agent", "e", key is not nameless, b"1")])
    assert await store.idle_for(0, lasting=True) == []

    ticks.now += 1_000
    await store.commit([entry(1, key=busy)])
    ticks.now += 1_000
    assert await store.idle_for(1_500, lasting=True) == [idle]
    assert set(await store.idle_for(500, lasting=True)) == {idle, busy}
    assert await store.idle_for(500, lasting=False) == [nameless]
    assert await store.idle_for(2_500, lasting=False) == []


async def test_a_thread_written_to_again_and_again_is_not_idle(store: Store, ticks: Ticks) -> None:
    await store.commit([CREATED])
    for number in range(1, 20):
        ticks.now += 20
        await store.commit([entry(number)])
        assert await store.idle_for(60, lasting=True) == []


async def test_a_store_that_is_opened_again_has_what_it_kept(store: Store, make: Make) -> None:
    batches = script(1, 12)
    held: Held = {}
    for batch in batches:
        await store.commit(batch)
        held = after(held, batch)
        await store.aclose()
        await store.open()  # the same one
        assert await holds(store) == shown(held)
        store = await reopened(store, make)  # another one
        assert await holds(store) == shown(held)
    await store.aclose()


async def test_opening_and_closing_twice_is_doing_it_once(store: Store) -> None:
    await store.open()
    await store.commit([CREATED])
    assert await store.load(KEY)
    await store.aclose()
    await store.aclose()


async def test_a_thread_is_loaded_as_it_was_before_a_commit_or_after_it(store: Store) -> None:
    await store.commit([CREATED])

    async def write() -> None:
        for number in range(1, 200, 2):
            await store.commit([entry(number), BatchApplied(KEY, f"c{number}", b"", "r"), entry(number + 1)])

    writing = asyncio.create_task(write())
    seen = 0
    while not writing.done():
        saved = await loaded(store)
        assert len(saved.entries) == 2 * len(saved.applied) >= seen
        seen = len(saved.entries)
        await asyncio.sleep(0)
    await writing
    assert len((await loaded(store)).entries) == 200


async def test_an_instant_store_writes_without_waiting(store: Store) -> None:
    if store.instant:
        store.commit_nowait([CREATED, entry(1)])
        assert len((await loaded(store)).entries) == 1
    else:
        with pytest.raises(TypeError):
            store.commit_nowait([CREATED])


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("memory", nullcontext),
        ("sqlite", nullcontext),
        ("sqlite", little),
        ("postgres", nullcontext),
        ("valkey", nullcontext),
    ],
)
@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 25))
def test_a_store_holds_what_its_commits_amount_to(
    name: str, limits: Limits, tmp_path_factory: pytest.TempPathFactory, seed: int, commits: int
) -> None:
    async def check() -> None:
        make = STORES[name](tmp_path_factory.mktemp("store"), Ticks())
        store = make()
        await store.open()
        held: Held = {}
        for batch in script(seed, commits):
            await store.commit(batch)
            held = after(held, batch)
            assert await holds(store) == shown(held)
        store = await reopened(store, make)
        assert await holds(store) == shown(held)
        assert {*await store.idle_for(-1e9, lasting=True)} == {
            key for key in KEYS if key in held and held[key][0].lasting
        }
        await store.aclose()

    with limits():
        asyncio.run(check())
