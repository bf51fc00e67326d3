"""What every store that several processes share does. To add one, add its line to `SHARED`, in `every_store`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import pytest

from statecast.stores import (
    MEMORY,
    Appended,
    Assigned,
    BatchAccepted,
    BatchApplied,
    BatchChanged,
    BatchSettled,
    ChangeRefused,
    Claimed,
    Compacted,
    Created,
    Deleted,
    Fenced,
    Held,
    Key,
    Moved,
    Place,
    Post,
    PostTaken,
    RecordWritten,
    Renewed,
    SharedChange,
    SharedStore,
    SummaryChanged,
    Tail,
    topic_of,
)
from tests.stores.every_store import SHARED

pytestmark = pytest.mark.anyio

KEY = Key(None, "t")
ANN = Key("ann", "t")
LONG = 60.0  #: seconds

#: Returns a store as another process would have it open.
Another = Callable[[], SharedStore]


@pytest.fixture(params=SHARED)
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[SharedStore, SharedStore]]:
    """Open a store as two processes have it."""
    make = SHARED[request.param](tmp_path)
    one, two = make(), make()
    await one.open()
    await two.open()
    yield one, two
    await two.aclose()
    await one.aclose()


Stores = tuple[SharedStore, SharedStore]


def created(key: Key = KEY) -> Created:
    return Created(key, "agent", "epoch", True, b"{}")


def entry(revision: int, key: Key = KEY, open: bool | None = None) -> Appended:
    return Appended(key, revision, "run" if open is not None else "operations", b"%d" % revision, open)


async def claim(store: SharedStore, process: str = "a", key: Key = KEY, seconds: float = LONG) -> int:
    found = await store.claim(key, process, seconds)
    assert isinstance(found, Claimed)
    return found.token


async def tail(store: SharedStore, place: Place, key: Key = KEY) -> Tail | None:
    found = await store.tails({key: place})
    assert [one.key for one in found] in ([], [key])
    return found[0] if found else None


async def started(store: SharedStore, process: str = "a", key: Key = KEY) -> int:
    """Claim a thread for a process and create it, with an entry."""
    token = await claim(store, process, key)
    assert await store.write([created(key), entry(1, key)], {key: token}) == {}
    return token


async def test_a_thread_is_claimed_by_one_process_at_a_time(stores: Stores) -> None:
    one, two = stores
    token = await claim(one)
    assert await two.claim(KEY, "b", LONG) == Held("a")
    assert isinstance(await two.claim(ANN, "b", LONG), Claimed), "another owner's is another thread"

    assert await one.write([created(), entry(1), entry(2)], {KEY: token}) == {}
    assert await one.claim(KEY, "a", LONG) == Claimed(token + 1, "epoch", 2), "a process may claim what it holds"
    await one.release({KEY: token})
    assert await two.claim(KEY, "b", LONG) == Held("a"), "an older claim releases nothing"
    await one.release({KEY: token + 1})
    assert await two.claim(KEY, "b", LONG) == Claimed(token + 2, "epoch", 2)


async def test_a_claim_ends_with_its_time(stores: Stores) -> None:
    one, two = stores
    token = await claim(one, "a", seconds=0.05)
    found: Claimed | Held = Held("a")
    for _ in range(1_000):
        found = await two.claim(KEY, "b", LONG)
        if isinstance(found, Claimed):
            break
        await anyio.sleep(0.01)
    assert isinstance(found, Claimed)
    assert found.token > token
    assert list(await one.renew({KEY: token}, LONG)) == [KEY]
    assert list(await two.renew({KEY: found.token}, LONG)) == []
    assert await one.claim(KEY, "a", LONG) == Held("b")


async def test_a_claim_whose_time_is_over_can_be_renewed_while_nobody_claims_the_thread(stores: Stores) -> None:
    one, two = stores
    token = await started(one)
    await one.renew({KEY: token}, 0.0)
    assert list(await one.renew({KEY: token}, LONG)) == []
    assert await two.claim(KEY, "b", LONG) == Held("a")
    assert list(await one.renew({KEY: token, ANN: 7}, LONG)) == [ANN]


async def test_tokens_grow_even_if_a_thread_is_deleted(stores: Stores) -> None:
    one, two = stores
    first = await started(one)
    assert await one.write([Deleted(KEY)], {KEY: first}) == {}
    await one.release({KEY: first})
    second = await started(two, "b")
    assert second > first
    assert set(await one.write([entry(2)], {KEY: first})) == {KEY}
    saved = await one.load(KEY)
    assert saved is not None
    assert [revision for revision, _, _ in saved.entries] == [1]


WRITES: dict[str, list[SharedChange]] = {
    "entries": [entry(2), entry(3)],
    "a batch": [BatchAccepted(KEY, "run_1", b"batch"), BatchApplied(KEY, "c", b"digest", "run_1")],
    "a batch with entries": [entry(2), BatchSettled(KEY, "run_0"), SummaryChanged(key=KEY, at=5.0)],
    "a snapshot": [Compacted(KEY, 1, b"1", b"null")],
    "a memory": [RecordWritten(KEY, MEMORY, "1", b"memory")],
    "another agent": [Assigned(KEY, "other")],
    "another epoch": [Renewed(KEY, "other")],
    "a deletion": [Deleted(KEY)],
    "a move": [Moved(KEY, "ann")],
    "an answer": [PostTaken(KEY, "p1", "b", b"reply")],
}


@pytest.mark.parametrize("changes", WRITES.values(), ids=WRITES)
async def test_nothing_is_written_under_an_older_token(stores: Stores, changes: list[SharedChange]) -> None:
    one, two = stores
    token = await started(one)
    await one.write([BatchAccepted(KEY, "run_0", b"batch")], {KEY: token})
    await two.post(Post(KEY, "p1", "b", b"call"))
    await one.renew({KEY: token}, 0.0)
    newer = await claim(two, "b")
    before = await two.load(KEY), await two.summary(KEY), await two.posts([KEY])

    failed = await one.write(changes, {KEY: token})

    assert {key: type(error) for key, error in failed.items()} == {KEY: Fenced}
    assert (await two.load(KEY), await two.summary(KEY), await two.posts([KEY])) == before
    assert await two.replies("b") == {}
    assert await two.write(changes, {KEY: newer}) == {}


async def test_a_fenced_thread_does_not_keep_others_from_being_written(stores: Stores) -> None:
    one, two = stores
    others = [Key(None, f"other{number}") for number in range(3)]
    tokens = {key: await started(one, key=key) for key in (KEY, *others)}
    await one.renew({KEY: tokens[KEY]}, 0.0)
    await claim(two, "b")

    changes: list[SharedChange] = [entry(2, key) for key in (others[0], KEY, others[1], others[2])]
    changes += [entry(3, key) for key in (KEY, others[0])]
    changes.append(Created(others[1], "agent", "again", True, b"{}"))  # is refused
    failed = await one.write(changes, tokens)

    assert {key: type(error) for key, error in failed.items()} == {KEY: Fenced, others[1]: ChangeRefused}
    lasts = [saved.entries[-1][0] for key in (KEY, *others) if (saved := await two.load(key)) is not None]
    assert lasts == [1, 3, 1, 2]


async def test_the_same_may_be_written_again(stores: Stores) -> None:
    one, _ = stores
    token = await claim(one)
    first: list[SharedChange] = [
        created(),
        BatchAccepted(KEY, "run_1", b"one"),
        BatchApplied(KEY, "c1", b"digest", "run_1"),
        entry(1, open=True),
    ]
    second: list[SharedChange] = [BatchSettled(KEY, "run_1"), BatchAccepted(KEY, "run_2", b"two"), entry(2), entry(3)]
    for batch in (first, first, second, second):
        assert await one.write(batch, {KEY: token}) == {}
    saved = await one.load(KEY)
    assert saved is not None
    assert [revision for revision, _, _ in saved.entries] == [1, 2, 3]
    assert list(saved.inbox) == [("run_2", b"two")]
    assert saved.applied == {"c1": (b"digest", "run_1")}


async def test_records_are_written_whoever_holds_the_thread(stores: Stores) -> None:
    one, two = stores
    await started(one)
    assert (
        await two.write([SummaryChanged(key=KEY, at=5.0, title="T"), RecordWritten(KEY, "note", "n", b"1")], {}) == {}
    )
    summary = await one.summary(KEY)
    assert summary is not None
    assert summary.title == "T"
    assert await one.records(KEY, "note") == [("n", b"1")]


async def test_a_follower_reads_what_is_new(stores: Stores) -> None:
    one, two = stores
    token = await started(one)
    found = await tail(two, Place("epoch", 0, -1))
    assert found is not None
    assert (list(found.entries), list(found.inbox), found.agent) == ([(1, "operations", b"1")], [], "agent")
    place = Place("epoch", 1, found.version)
    assert await tail(two, place) is None

    await one.write([entry(2, open=True), entry(3), BatchAccepted(KEY, "run_2", b"two")], {KEY: token})
    found = await tail(two, place)
    assert found is not None
    assert [revision for revision, _, _ in found.entries] == [2, 3]
    assert list(found.inbox) == [("run_2", b"two")]
    place = Place("epoch", 3, found.version)

    for change in (BatchChanged(KEY, "run_2", b"TWO"), BatchSettled(KEY, "run_2"), Assigned(KEY, "other")):
        await one.write([change], {KEY: token})
        found = await tail(two, place)
        assert found is not None, f"{change} is something new"
        assert (found.more, found.truncated, found.gone, found.ahead, list(found.entries)) == (*[False] * 4, [])
        place = Place("epoch", 3, found.version)
    assert found is not None
    assert (list(found.inbox), found.agent) == ([], "other")
    assert await tail(two, place) is None


async def test_a_follower_that_keeps_up_notices_everything_else(stores: Stores) -> None:
    one, two = stores
    token = await started(one)
    place = Place("epoch", 1, -1)

    async def after(*changes: SharedChange) -> Tail:
        nonlocal place
        assert await one.write(changes, {KEY: token}) == {}
        found = await tail(two, place)
        assert found is not None
        if found.entries:
            place = Place(found.epoch, found.entries[-1][0], place.version if found.more else found.version)
        return found

    first = await after(entry(2), BatchAccepted(KEY, "run_1", b"one"))
    assert list(first.inbox) == [("run_1", b"one")]
    for number in (3, 4):
        found = await after(entry(number))
        assert [revision for revision, _, _ in found.entries] == [number]
        assert (list(found.inbox), found.agent, found.version) == ([], first.agent, first.version)
    found = await after(entry(5), BatchSettled(KEY, "run_1"))
    assert ([revision for revision, _, _ in found.entries], list(found.inbox)) == ([5], [])
    assert found.version != first.version

    read = []
    for number in range(6, 40):
        await one.write([entry(number)], {KEY: token})
    while (part := await tail(two, place)) is not None:
        read += [revision for revision, _, _ in part.entries]
        place = Place(part.epoch, read[-1], part.version)
    assert read == list(range(6, 40))

    await after(entry(40))
    await one.write([entry(number) for number in range(41, 50)], {KEY: token})
    found = await after(Compacted(KEY, 49, b"49", b"null"))
    assert found.truncated or [revision for revision, _, _ in found.entries] == list(range(41, 50))
    place = Place("epoch", 49, found.version)
    await after(entry(50))
    assert (await after(entry(51), Renewed(KEY, "later"))).truncated
    place = Place("later", 51, place.version)
    assert (await after(entry(52))).epoch == "later"
    assert (await after(Deleted(KEY))).gone


async def test_a_follower_reads_many_threads_at_once(stores: Stores) -> None:
    one, two = stores
    keys = [Key(owner, f"t{number}") for number in range(6) for owner in (None, "ann")]
    tokens = {key: await started(one, key=key) for key in keys}
    places = {
        key: Place("epoch", 1, found.version) for key in keys if (found := await tail(two, Place("", 0, -1), key))
    }
    assert len(places) == len(keys)
    assert await two.tails(places) == []
    await one.write([entry(2, key) for key in keys[::3]], tokens)
    assert {found.key for found in await two.tails(places)} == set(keys[::3])


async def test_a_follower_whose_place_is_gone_is_told_so(stores: Stores) -> None:
    one, two = stores
    token = await started(one)
    await one.write([*(entry(number) for number in range(2, 9)), Compacted(KEY, 7, b"7", b"null")], {KEY: token})
    found = await tail(two, Place("another", 3, -1))
    assert found is not None
    assert found.truncated

    ahead = await tail(two, Place("epoch", 12, found.version))
    assert ahead is not None
    assert (ahead.ahead, list(ahead.entries)) == (True, [])

    await one.write([Renewed(KEY, "later")], {KEY: token})
    renewed = await tail(two, Place("epoch", 8, found.version))
    assert renewed is not None
    assert (renewed.epoch, renewed.truncated) == ("later", True)

    await one.write([Deleted(KEY)], {KEY: token})
    gone = await tail(two, Place("later", 8, renewed.version))
    assert gone is not None
    assert gone.gone


async def test_long_logs_are_read_in_parts(stores: Stores) -> None:
    one, two = stores
    token = await started(one)
    large = bytes(100_000)
    await one.write([Appended(KEY, number, "operations", large) for number in range(2, 12)], {KEY: token})
    place, read = Place("epoch", 1, -1), []
    while (found := await tail(two, place)) is not None:
        if found.truncated:  # as a store may say that keeps less at hand
            saved = await two.load(KEY)
            assert saved is not None
            read = [revision for revision, _, _ in saved.entries]
            break
        read += [revision for revision, _, _ in found.entries]
        place = Place("epoch", read[-1], found.version)
        assert found.more == (read[-1] < 11)
    assert read[-10:] == list(range(2, 12))


async def test_a_call_reaches_whoever_holds_the_thread_and_is_answered_once(stores: Stores) -> None:
    one, two = stores
    token = await started(one)
    calls = [Post(KEY, f"p{number}", "b", b"call %d" % number) for number in range(3)]
    for call in (*calls, calls[1]):
        await two.post(call)
    await two.post(Post(ANN, "p9", "b", b"for a thread that is not there"))
    assert await one.posts([KEY]) == calls
    assert {post.id for post in await one.posts([KEY, ANN])} == {"p0", "p1", "p2", "p9"}

    await one.write([entry(2), PostTaken(KEY, "p1", "b", b"one")], {KEY: token})
    await one.write([PostTaken(KEY, "p0", "b", b"zero")], {KEY: token})
    assert await one.posts([KEY]) == calls[2:]
    assert await two.replies("another") == {}
    assert await two.replies("b") == {"p1": b"one", "p0": b"zero"}
    assert await two.replies("b") == {}


async def test_work_is_unfinished_only_while_nobody_holds_its_thread(stores: Stores) -> None:
    one, two = stores
    keys = [Key("ann", f"t{number}") for number in range(4)]
    tokens = {key: await started(one, key=key) for key in keys}
    await one.write(
        [
            BatchAccepted(keys[0], "run_0", b""),
            entry(2, keys[1], True),
            entry(2, keys[2], True),
            entry(3, keys[2], False),
        ],
        tokens,
    )
    await two.post(Post(keys[3], "p", "b", b""))
    assert await two.unfinished() == []
    await one.release(tokens)
    assert set(await two.unfinished()) == {keys[0], keys[1], keys[3]}
    await claim(two, "b", keys[0])
    assert set(await one.unfinished()) == {keys[1], keys[3]}


async def test_a_thread_moves_to_another_owner_under_its_token(stores: Stores) -> None:
    one, two = stores
    token = await started(one)
    await one.write([BatchAccepted(KEY, "run_1", b"batch"), SummaryChanged(key=KEY, at=1.0, title="T")], {KEY: token})
    await two.claim(ANN, "b", LONG)
    assert {type(error) for error in (await one.write([Moved(KEY, "ann")], {KEY: token})).values()} == {Fenced}
    assert await two.load(KEY) is not None

    bob = Key("bob", "t")
    target = await claim(one, "a", bob)
    changes: list[SharedChange] = [Moved(KEY, "bob"), RecordWritten(bob, "former", "", b"{}")]
    assert await one.write(changes, {KEY: token, bob: target}) == {}
    saved = await two.load(bob)
    assert saved is not None
    assert (list(saved.inbox), saved.epoch) == ([("run_1", b"batch")], "epoch")
    assert await two.load(KEY) is None
    assert await two.records(bob, "former") == [("", b"{}")]
    assert await one.write([entry(2, bob)], {bob: target}) == {}
    gone = await tail(two, Place("epoch", 1, -1))
    assert gone is not None
    assert gone.gone


async def test_hints_reach_who_follows_a_topic(stores: Stores) -> None:
    one, two = stores
    heard: list[str] = []
    fresh = anyio.Event()

    def on_hint(topics: object) -> None:
        nonlocal fresh
        assert isinstance(topics, set | frozenset | list | tuple)
        heard.extend(topics)
        fresh.set()
        fresh = anyio.Event()

    sender, receiver = one.wake(), two.wake()
    await receiver.open(on_hint, lambda: None)
    await sender.open(lambda topics: None, lambda: None)
    topics = {topic_of(KEY), topic_of(ANN), "proc_1"}
    for topic in topics:
        receiver.follow(topic)
    with anyio.fail_after(30):
        while not topics <= set(heard):  # a hint may be lost, as while the subscription is being made
            sender.send(topics | {topic_of(Key(None, "unheard"))})
            with anyio.move_on_after(0.2):
                await fresh.wait()
        assert receiver.live
    await sender.aclose()
    await receiver.aclose()


async def test_what_changes_with_a_loss_is_the_same_in_every_process(stores: Stores) -> None:
    one, two = stores
    assert await one.identity() == await two.identity()
    assert await one.durability() == await two.durability()
    await one.probe()
