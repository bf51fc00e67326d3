"""What every store does with records: summaries, records of threads, files and secrets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from statecast.stores import (
    Appended,
    Change,
    ChangeRefused,
    Created,
    Damaged,
    Deleted,
    File,
    Key,
    Moved,
    RecordErased,
    RecordWritten,
    Store,
    Summary,
    SummaryChanged,
)
from tests.stores.every_store import STORES, Make, Ticks, reopened

pytestmark = pytest.mark.anyio

KEY = Key(None, "t")
CREATED = Created(KEY, "agent", "epoch", True, b"0")
EVERYTHING = 1_000


async def listed(store: Store, owner: str | None = None, *, archived: bool | None = None) -> list[str]:
    return [summary.key.thread_id for summary in await store.summaries(owner, archived=archived, limit=EVERYTHING)]


async def test_an_empty_store_has_nothing(store: Store) -> None:
    assert await store.summary(KEY) is None
    assert await store.summaries(None, limit=10) == []
    assert await store.records(KEY, "message") == []
    assert await store.file("a") is None


async def test_a_card_is_made_with_what_is_said_first_and_keeps_what_is_not_said_later(
    store: Store, make: Make
) -> None:
    await store.commit([SummaryChanged(key=KEY, at=10.25, title="Bees", custom=b'{"a":1}')])
    first = Summary(key=KEY, created=10.25, updated=10.25, last=10.25, title="Bees", custom=b'{"a":1}')
    assert await store.summary(KEY) == first

    await store.commit([SummaryChanged(key=KEY, at=20.5, archived=True, last=15.0, external_id="x")])
    second = replace(first, updated=20.5, archived=True, last=15.0, external_id="x")
    assert await store.summary(KEY) == second

    await store.commit([SummaryChanged(key=KEY, at=30.0, title=None, external_id=None, custom=b"null", archived=False)])
    third = replace(second, updated=30.0, title=None, external_id=None, custom=b"null", archived=False)
    assert await store.summary(KEY) == third
    assert await (await reopened(store, make)).summary(KEY) == third


async def test_cards_are_listed_by_their_latest_message_and_by_owner(store: Store) -> None:
    for number, last in enumerate([3.0, 1.0, 2.0, 2.0]):
        await store.commit([SummaryChanged(key=Key(None, f"t{number}"), at=0.0, last=last, archived=number == 3)])
    await store.commit([SummaryChanged(key=Key("ann", "hers"), at=9.0), SummaryChanged(key=Key("", "empty"), at=9.0)])

    assert await listed(store) == ["t0", "t3", "t2", "t1"]
    assert await listed(store, archived=False) == ["t0", "t2", "t1"]
    assert await listed(store, archived=True) == ["t3"]
    assert await listed(store, "ann") == ["hers"]
    assert await listed(store, "") == ["empty"]
    assert await listed(store, "bob") == []


async def test_a_card_is_found_by_the_id_that_the_app_has_given_it(store: Store, make: Make) -> None:
    for at, (owner, thread_id, external_id) in enumerate(
        [("ann", "t2", "x"), ("ann", "t1", "x"), ("bob", "t0", "x"), (None, "t0", "x"), ("ann", "t3", None)]
    ):
        await store.commit([SummaryChanged(key=Key(owner, thread_id), at=float(at), external_id=external_id)])
    store = await reopened(store, make)
    found = [await store.summary_named(owner, "x") for owner in ("ann", "bob", None, "")]
    await store.commit([SummaryChanged(key=Key("ann", "t2"), at=9.0, external_id="y"), Deleted(Key("bob", "t0"))])
    later = [await store.summary_named(owner, "x") for owner in ("ann", "bob")]

    assert [summary and summary.key.thread_id for summary in found] == ["t2", "t0", "t0", None]
    assert [summary and summary.key.thread_id for summary in later] == ["t1", None]
    assert (await store.summary_named("ann", "y")) == await store.summary(Key("ann", "t2"))


async def test_whether_a_thread_of_an_id_is_somebodys_is_known(store: Store, make: Make) -> None:
    for owner, thread_id in (("ann", "hers"), ("ann", "both"), (None, "both"), (None, "nobodys"), ("", "empty")):
        await store.commit([SummaryChanged(key=Key(owner, thread_id), at=1.0)])
    store = await reopened(store, make)
    ids = ["hers", "both", "nobodys", "empty", "unknown"]
    found = [await store.is_owned(thread_id) for thread_id in ids]
    await store.commit([Deleted(Key("ann", "hers")), Deleted(Key("ann", "both"))])

    assert found == [True, True, False, True, False]
    assert [await store.is_owned(thread_id) for thread_id in ids] == [False, False, False, True, False]


@pytest.mark.parametrize("archived", [None, False])
async def test_pages_have_every_card_once(store: Store, archived: bool | None) -> None:
    random = Random(5)
    cards = [
        SummaryChanged(key=Key("ann", f"t{number}"), at=0.0, last=float(random.randrange(8))) for number in range(40)
    ]
    await store.commit(cards)
    before: tuple[float, str] | None = None
    found: list[str] = []
    while page := await store.summaries("ann", archived=archived, before=before, limit=7):
        assert len(page) <= 7
        found += [summary.key.thread_id for summary in page]
        before = page[-1].last, page[-1].key.thread_id

    assert found == await listed(store, "ann")
    assert len(set(found)) == 40


async def test_notes_are_in_the_order_in_which_they_were_made(store: Store, make: Make) -> None:
    await store.commit(
        [RecordWritten(KEY, "a", "2", b"x"), RecordWritten(KEY, "a", "1", b"y"), RecordWritten(KEY, "b", "2", b"other")]
    )
    await store.commit([RecordWritten(KEY, "a", "2", b"\x00new"), RecordWritten(Key("ann", "t"), "a", "2", b"hers")])

    assert await store.records(KEY, "a") == [("2", b"\x00new"), ("1", b"y")]
    assert await store.records(KEY, "b") == [("2", b"other")]

    await store.commit(
        [RecordErased(KEY, "a", "2"), RecordErased(KEY, "a", "unknown"), RecordWritten(KEY, "a", "2", b"again")]
    )
    store = await reopened(store, make)
    assert await store.records(KEY, "a") == [("1", b"y"), ("2", b"again")]
    assert await store.records(Key("ann", "t"), "a") == [("2", b"hers")]


async def test_a_deleted_thread_leaves_neither_card_nor_notes(store: Store) -> None:
    other = Key(None, "other")
    await store.commit([CREATED, SummaryChanged(key=KEY, at=1.0), RecordWritten(KEY, "a", "1", b"x")])
    await store.commit([SummaryChanged(key=other, at=1.0), RecordWritten(other, "a", "1", b"x")])
    await store.commit([Deleted(KEY)])

    assert await store.summary(KEY) is None
    assert await store.records(KEY, "a") == []
    assert await listed(store) == ["other"]
    assert await store.records(other, "a") == [("1", b"x")]

    await store.commit([Deleted(other)])  # which never was more than a card
    assert await listed(store) == []


async def test_a_thread_moves_with_all_that_is_kept_with_it(store: Store, make: Make) -> None:
    to = Key("ann", "t")
    await store.commit([CREATED, Appended(KEY, 1, "operations", b"[]"), SummaryChanged(key=KEY, at=1.0, title="Bees")])
    await store.commit([RecordWritten(KEY, "a", "1", b"x"), Moved(KEY, "ann"), Appended(to, 2, "operations", b"[]")])

    store = await reopened(store, make)
    assert await store.load(KEY) is None
    assert await store.summary(KEY) is None
    assert await store.records(KEY, "a") == []
    saved, summary = await store.load(to), await store.summary(to)
    assert saved is not None
    assert [entry[0] for entry in saved.entries] == [1, 2]
    assert summary is not None
    assert (summary.key, summary.title) == (to, "Bees")
    assert await store.records(to, "a") == [("1", b"x")]

    await store.commit([Created(KEY, "agent", "another", True, b"1")])  # its old name is free again
    assert await store.load(KEY) is not None


@pytest.mark.parametrize("there", ["thread", "card"])
async def test_nothing_moves_onto_what_is_there(store: Store, there: str) -> None:
    to = Key("ann", "t")
    await store.commit([CREATED, SummaryChanged(key=KEY, at=1.0)])
    await store.commit([replace(CREATED, key=to) if there == "thread" else SummaryChanged(key=to, at=2.0)])

    with pytest.raises(ChangeRefused):
        await store.commit([RecordWritten(KEY, "a", "1", b"x"), Moved(KEY, "ann")])
    assert await store.load(KEY) is not None
    assert await store.records(KEY, "a") == []


async def test_a_card_is_used_when_it_is_written_whatever_it_says_and_keeps_its_thread(
    store: Store, make: Make, ticks: Ticks
) -> None:
    await store.commit([CREATED, SummaryChanged(key=Key(None, "old"), at=1e12), replace(CREATED, key=Key(None, "u"))])
    ticks.now += 100
    await store.commit([SummaryChanged(key=Key(None, "new"), at=1.0), SummaryChanged(key=KEY, at=1.0)])
    assert {key.thread_id for key in await store.idle_for(50, lasting=True)} == {"old", "u"}
    assert await store.idle_for(50, lasting=False) == []
    await store.commit([Moved(KEY, "ann")])
    store = await reopened(store, make)
    assert {key.thread_id for key in await store.idle_for(50, lasting=True)} == {"old", "u"}
    assert Key("ann", "t") in await store.idle_for(-1, lasting=True)
    await store.commit([Deleted(Key("ann", "t")), Deleted(Key(None, "old")), Deleted(Key(None, "u"))])
    assert await store.idle_for(-1, lasting=True) == [Key(None, "new")]
    await store.aclose()


@pytest.mark.parametrize("jump", [1e9, -1e9])
async def test_a_clock_that_jumps_makes_no_thread_idle(
    store: Store, make: Make, jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.commit([CREATED, SummaryChanged(key=Key(None, "card"), at=1.0)])
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    for _ in range(3):
        assert await store.idle_for(3_600, lasting=True) == []
        store = await reopened(store, make)
        await store.commit([replace(CREATED, key=Key(None, str(jump)))])
        await store.commit([Deleted(Key(None, str(jump)))])
    monkeypatch.setattr(time, "time", real)
    store = await reopened(store, make)
    assert await store.idle_for(3_600, lasting=True) == []
    assert len(await store.idle_for(-3_600, lasting=True)) == 2
    await store.aclose()


async def test_time_goes_on_where_it_was_when_a_store_is_opened_again(store: Store, make: Make, ticks: Ticks) -> None:
    await store.commit([CREATED])
    for number in range(5):
        assert await store.idle_for(100 * number + 50, lasting=True) == []
        ticks.now += 100
        assert await store.idle_for(100 * number + 50, lasting=True) == [KEY]
        store = await reopened(store, make)
        assert await store.idle_for(100 * number + 50, lasting=True) == [KEY]
    await store.aclose()


async def test_a_secret_is_the_first_that_was_offered(store: Store, make: Make) -> None:
    assert await store.secret("a", b"1\x00") == b"1\x00"
    assert await store.secret("a", b"2") == b"1\x00"
    assert await store.secret("b", b"2") == b"2"
    assert await (await reopened(store, make)).secret("a", b"3") == b"1\x00"


async def in_pieces(data: bytes, size: int = 1_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def test_files_are_kept_until_they_are_dropped(store: Store, make: Make) -> None:
    data = bytes(range(256)) * 10
    assert await store.write_file("a.png", "image/png", "ann", in_pieces(data)) == len(data)
    assert await store.write_file("b", "text/plain", None, in_pieces(b"")) == 0
    store = await reopened(store, make)

    assert await store.file("a.png") == File("a.png", "image/png", "ann", len(data))
    assert await store.read_file("a.png", 0, len(data)) == data
    assert await store.file("b") == File("b", "text/plain", None, 0)

    await store.write_file("a.png", "image/png", "ann", in_pieces(b"new"))
    await store.delete_file("b")
    await store.delete_file("unknown")
    assert await store.file("a.png") == File("a.png", "image/png", "ann", 3)
    assert await store.read_file("a.png", 0, 3) == b"new"
    assert await store.file("b") is None
    with pytest.raises(Damaged):
        await store.read_file("b", 0, 1)
    await store.aclose()


async def test_a_part_of_a_file_is_what_lies_between_two_bytes(store: Store) -> None:
    data = Random(1).randbytes(3 * 2**18 + 77)
    await store.write_file("a", "video/mp4", None, in_pieces(data, 70_000))
    edges = [0, 1, 2**18 - 1, 2**18, 2**18 + 1, 2**19, 3 * 2**18, len(data) - 1, len(data)]
    for start in edges:
        for end in edges:
            if start < end:
                assert await store.read_file("a", start, end) == data[start:end], (start, end)


async def test_a_file_whose_pieces_fail_is_not_kept_and_leaves_the_one_before(store: Store, make: Make) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield bytes(2**19)
        raise ZeroDivisionError

    await store.write_file("a", "text/plain", None, in_pieces(b"before"))
    for name in ("a", "b"):
        with pytest.raises(ZeroDivisionError):
            await store.write_file(name, "text/plain", None, failing())
    store = await reopened(store, make)
    assert await store.read_file("a", 0, 6) == b"before"
    assert await store.file("b") is None
    await store.aclose()


async def test_threads_are_written_while_a_file_comes(store: Store) -> None:
    """The file waits for ever for its next piece, and nothing else waits for the file."""
    more = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield bytes(2**20)
        await more.wait()
        yield b"end"

    coming = asyncio.create_task(store.write_file("a", "text/plain", None, slow()))
    await store.commit([CREATED])
    for revision in range(1, 50):
        await store.commit([Appended(KEY, revision, "operations", b"[]")])
    assert await store.file("a") is None
    more.set()
    assert await coming == 2**20 + 3
    saved = await store.load(KEY)
    assert saved is not None
    assert len(saved.entries) == 49


Beside = dict[Key, tuple[Summary | None, dict[str, bytes]]]  #: of each thread, its card and its notes

KEYS = [Key(owner, name) for owner in (None, "ann", "") for name in ("one", "two")]


def script(seed: int, commits: int) -> tuple[list[list[Change]], Beside]:
    """Return random commits that fit, and what is there after them."""
    random = Random(seed)
    held: Beside = {}
    batches: list[list[Change]] = []
    for number in range(commits):
        batch: list[Change] = []
        for _ in range(random.randint(1, 4)):
            key = random.choice(KEYS)
            summary, notes = held.get(key, (None, {}))
            at = float(number)
            kind = random.randrange(5)
            if kind == 0:
                title = random.choice(["Bees", None])
                batch.append(SummaryChanged(key=key, at=at, title=title))
                held[key] = (
                    replace(summary or Summary(key=key, created=at, updated=at, last=at), updated=at, title=title),
                    notes,
                )
            elif kind == 1:
                id, data = random.choice("abc"), random.randbytes(5)
                batch.append(RecordWritten(key, "n", id, data))
                held[key] = summary, notes | {id: data}
            elif kind == 2:
                id = random.choice("abc")
                batch.append(RecordErased(key, "n", id))
                held[key] = summary, {name: data for name, data in notes.items() if name != id}
            elif kind == 3:
                batch.append(Deleted(key))
                held.pop(key, None)
            else:
                to = Key(random.choice([None, "ann", ""]), key.thread_id)
                if to not in held and key in held:
                    batch.append(Moved(key, to.owner))
                    held[to] = None if summary is None else replace(summary, key=to), notes
                    del held[key]
        batches.append(batch)
    return batches, held


@pytest.mark.parametrize("name", STORES)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), commits=st.integers(1, 20))
def test_any_commits_are_kept(name: str, tmp_path_factory: pytest.TempPathFactory, seed: int, commits: int) -> None:
    async def scenario() -> Beside:
        make = STORES[name](tmp_path_factory.mktemp("store"), Ticks())
        store = make()
        await store.open()
        for batch in batches:
            await store.commit(batch)
        store = await reopened(store, make)
        found = {key: (await store.summary(key), dict(await store.records(key, "n"))) for key in KEYS}
        await store.aclose()
        return found

    batches, held = script(seed, commits)
    assert asyncio.run(scenario()) == {key: held.get(key, (None, {})) for key in KEYS}
