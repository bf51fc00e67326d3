"""The checker: eight facts that hold of every history of a cluster, whatever was done to it.

Each check returns what is wrong, one sentence a fault; `check` runs all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, TypeVar

from statecast.threads.runs.tries import TRIES
from tests.cluster.history import (
    Acked,
    Answer,
    Ended,
    Entry,
    Event,
    Executed,
    Fault,
    History,
    Measured,
    Saw,
    Sent,
)

__all__ = ["check", "takeovers"]

#: The share of a lease in which an owner renews again, and what of it may pass before the lease is in danger.
RENEWED: Final = 1 / 3
ENDANGERED: Final = 0.6

#: The same where requests are lost: a renewal is given up after a third, the next one follows 0.07 later, and both may
#: have been lost.
ENDANGERED_BY_LOSS: Final = 0.4
LOSSES: Final = ("cut", "delayed")

#: In how many leases after the end of a fault a takeover is noticed that it has led to.
NOTICED: Final = 3

#: How a run ends that did not carry out its commands.
MARKS: Final = {"interrupted", "failed", "cancelled", "unseen"}

#: What ends an owner, however short it is.
FATAL: Final = ("killed", "stopped", "engine")

#: What a process may hold beyond what it held before: bytes, as a share and at least, and sockets.
GROWTH: Final = 0.5
LEAST: Final = 40_000_000
SOCKETS: Final = 12

_E = TypeVar("_E", bound=Event)


def check(history: History, *, lease: float, patience: float | None) -> list[str]:
    """Return everything that is wrong in a history.

    Args:
        history: All that happened, until after all was quiet.
        lease: Seconds of a lease.
        patience: Seconds that a takeover may take beyond the lease; None where the machine is too busy to be timed.
    """
    found = [
        *(
            f"{number}. {fault}"
            for number, part in enumerate((dense, fenced, agreed, replayed, settled, kept), 1)
            for fault in part(history)
        ),
        *(f"7. {fault}" for fault in unprovoked(history, lease=lease)),
        *(f"8. {fault}" for fault in given_back(history)),
    ]
    if patience is not None:
        found += [f"7. {fault}" for fault in late(history, lease=lease, patience=patience)]
    return found


def dense(history: History) -> Iterator[str]:
    """1. The revisions of a log follow one another: none is missing, and none is there twice."""
    for (thread, epoch), entries in _logs(history).items():
        for one, next_one in pairwise(entries):
            if next_one.revision != one.revision + 1:
                yield f"{thread} in the epoch {epoch} has {next_one.revision} behind {one.revision}"


def fenced(history: History) -> Iterator[str]:
    """2. Who lost a thread writes nothing more to it.

    No entry of a token follows one of a greater token, and no execution writes once a later one has begun to.
    """
    for thread, entries in _by_thread(history, Entry).items():
        tokens = [entry.token for entry in entries if entry.token is not None]
        for token, then in pairwise(tokens):
            if then < token:
                yield f"{thread} has an entry of the token {then} behind one of the token {token}"
        over: set[str] = set()
        last = ""
        for entry in entries:
            for writer in entry.writers:
                if writer in over:
                    yield f"{thread} has at {entry.revision} what {writer} wrote after {last} had begun"
                elif writer != last:
                    over.add(last)
                    last = writer


def agreed(history: History) -> Iterator[str]:
    """3. Whoever is at the same cursor has the same state, at every moment."""
    states: dict[tuple[str, str, int], Saw] = {}
    for saw in _all(history, Saw):
        first = states.setdefault((saw.thread, saw.epoch, saw.revision), saw)
        if first.digest != saw.digest:
            where = f"{saw.epoch}-{saw.revision}"
            yield f"{saw.thread} at {where} was one thing for {first.reader}, another for {saw.reader}"


def replayed(history: History) -> Iterator[str]:
    """4. The log leads to the state that every process answers, and whoever read meanwhile saw what it leads to."""
    logged = {(entry.thread, entry.epoch, entry.revision): entry.digest for entry in _all(history, Entry)}
    ends = {thread: entries[-1] for thread, entries in _by_thread(history, Entry).items()}
    for answer in _all(history, Answer):
        end = ends.get(answer.thread)
        if end is None:
            yield f"{answer.process} answers for {answer.thread}, of which nothing is stored"
        elif (end.epoch, end.revision) != (answer.epoch, answer.revision):
            where = f"{answer.epoch}-{answer.revision}"
            yield f"{answer.process} has {answer.thread} at {where}, the log ends at {end.epoch}-{end.revision}"
        elif end.digest != answer.digest:
            yield f"{answer.process} has another state of {answer.thread} than its log leads to"
    for saw in _all(history, Saw):
        if logged.get((saw.thread, saw.epoch, saw.revision), saw.digest) != saw.digest:
            yield f"{saw.reader} saw at {saw.epoch}-{saw.revision} of {saw.thread} what its log does not lead to"


def settled(history: History) -> Iterator[str]:
    """5. What was accepted was carried out once, or its run is marked; what was not, happened at most once.

    A run that may start again is given up, and fails, once its process has ended `TRIES` times.
    """
    runs: dict[str, set[str]] = defaultdict(set)
    for acked in _all(history, Acked):
        runs[acked.command] |= {acked.run} if acked.run else set()
    acknowledged = {acked.command for acked in _all(history, Acked)}
    ends: dict[str, set[str]] = defaultdict(set)
    for ended in _all(history, Ended):
        ends[ended.run].add(ended.how)
    tries: dict[str, int] = defaultdict(int)
    for executed in _all(history, Executed):
        tries[executed.run] += 1
    answers = {answer.thread: answer for answer in _all(history, Answer)}
    for sent in _all(history, Sent):
        answer = answers.get(sent.thread)
        count, done = (answer.counts.get(sent.command, 0), answer.done.count(sent.command)) if answer else (0, 0)
        mine = runs[sent.command]
        how = {end for run in mine for end in ends[run]}
        if len(mine) > 1:
            yield f"{sent.command} led to the runs {sorted(mine)}"
        if answer is not None and answer.restartable:
            if count > 1 and count > max((tries[run] for run in mine), default=1):
                yield f"{sent.command} was begun {count} times, and its run started fewer times"
            given_up = "failed" in how and any(tries[run] >= TRIES for run in mine)
            if sent.command in acknowledged and not done and not given_up:
                yield f"{sent.command} was accepted, and was not carried out"
            continue
        if count > 1 or done > count:
            yield f"{sent.command} was begun {count} times, and carried out {done} times"
        elif sent.command in acknowledged and not done and not how & MARKS:
            yield f"{sent.command} was accepted and was not carried out, and its run ended as {sorted(how)}"
    for run, how in ends.items():
        more = {"interrupted", "completed"} if tries[run] > 1 else set()
        if len(how) > 1 and not how <= more | ({"failed"} if tries[run] >= TRIES else set()):
            yield f"the run {run} ended as {sorted(how)}"


def kept(history: History) -> Iterator[str]:
    """6. What a reader saw is there, or its epoch is over and the reader was told the new one whole."""
    ends = {thread: entries[-1] for thread, entries in _by_thread(history, Entry).items()}
    readers: dict[str, list[Saw]] = defaultdict(list)
    for saw in _all(history, Saw):
        readers[saw.reader].append(saw)
    for reader, seen in readers.items():
        for before, saw in pairwise(seen):
            if before.epoch != saw.epoch:
                if not saw.told:
                    yield f"{reader} went from {before.epoch} to {saw.epoch} without a snapshot"
            elif saw.revision < before.revision or (saw.revision == before.revision and not saw.told):
                yield f"{reader} went from {before.epoch}-{before.revision} back to {saw.revision}"
        last, end = seen[-1], ends.get(seen[-1].thread)
        if end is None:
            yield f"{reader} saw {last.thread}, which is gone"
        elif last.epoch == end.epoch and last.revision > end.revision:
            yield f"{reader} saw {last.thread} at {last.revision}, and its log ends at {end.revision}"
        elif (last.epoch, last.revision) != (end.epoch, end.revision):
            where = f"{last.epoch}-{last.revision}"
            yield f"{reader} ended at {where} of {last.thread}, whose log ends at {end.epoch}-{end.revision}"


def unprovoked(history: History, *, lease: float) -> Iterator[str]:
    """7. Nobody takes over a thread whose owner renews its lease.

    A process that was killed renews nothing: its runs may be taken over at any time.
    """
    faults = _all(history, Fault)
    for process, thread, since, at in _lost(history):
        if any(fault.kind == "killed" and fault.process == process and since <= fault.begin <= at for fault in faults):
            continue
        excuses = [fault for fault in faults if fault.process in (None, process) and fault.begin <= at]
        if not any(_endangers(span, at, lease) for span in _spans(excuses, RENEWED * lease)):
            yield f"{thread} was taken from {process}, to which nothing had been done"


def late(history: History, *, lease: float, patience: float) -> Iterator[str]:
    """7. A thread whose owner was killed goes on when the lease is over."""
    for thread, seconds in takeovers(history):
        if seconds > lease + patience:
            yield f"{thread} went on {seconds:.1f} s after its owner was killed"


def takeovers(history: History) -> list[tuple[str, float]]:
    """Return how long each thread stood still whose owner was killed under a run, where nothing else was done then."""
    faults = _all(history, Fault)
    progress = {thread: sorted(_progress(seen)) for thread, seen in _by_thread(history, Saw).items()}
    ended = {event.run: event.at for event in _all(history, Ended)}
    found = []
    for fault in faults:
        if fault.kind != "killed":
            continue
        for executed in _all(history, Executed):
            over = ended.get(executed.run, float("inf"))
            if executed.process != fault.process or executed.at > fault.begin or over <= fault.begin:
                continue
            after = [at for at in progress.get(executed.thread, []) if at > fault.begin]
            alone = all(
                other is fault or other.end < fault.begin or other.begin > after[0] for other in faults if after
            )
            if after and alone:
                found.append((executed.thread, after[0] - fault.begin))
    return found


def given_back(history: History) -> Iterator[str]:
    """8. When all is quiet, a process holds about what it held before."""
    measured = {(each.process, each.when): each for each in _all(history, Measured)}
    for (process, when), after in measured.items():
        before = measured.get((process, "before"))
        if when != "after" or before is None:
            continue
        if after.memory > before.memory + max(LEAST, GROWTH * before.memory):
            yield f"{process} holds {after.memory:,} bytes, and held {before.memory:,}"
        if after.sockets > before.sockets + SOCKETS:
            yield f"{process} holds {after.sockets} sockets, and held {before.sockets}"


def _all(history: History, kind: type[_E]) -> list[_E]:
    return [event for event in history if isinstance(event, kind)]


def _by_thread(history: History, kind: type[_E]) -> dict[str, list[_E]]:
    found: dict[str, list[_E]] = defaultdict(list)
    for event in _all(history, kind):
        found[event.thread].append(event)  # type: ignore[union-attr]  # those that are asked for have one
    return found


def _logs(history: History) -> dict[tuple[str, str], list[Entry]]:
    found: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in _all(history, Entry):
        found[entry.thread, entry.epoch].append(entry)
    return found


def _progress(seen: Iterable[Saw]) -> Iterator[float]:
    """Yield when somebody saw more of a thread than anybody had before."""
    furthest: tuple[str, int] | None = None
    for saw in seen:
        if furthest is None or saw.epoch != furthest[0] or saw.revision > furthest[1]:
            furthest = saw.epoch, saw.revision
            yield saw.at


def _lost(history: History) -> Iterator[tuple[str, str, float, float]]:
    """Yield each takeover: from which process, of which thread, since when it ran there, and when somebody saw it."""
    owners: dict[str, tuple[str, float]] = {}
    events: list[Executed | Ended] = [*_all(history, Executed), *_all(history, Ended)]
    for event in sorted(events, key=lambda event: event.at):
        if isinstance(event, Executed):
            if event.run in owners:
                process, since = owners[event.run]
                yield process, event.thread, since, event.at
            owners[event.run] = event.process, event.at
        elif event.how == "interrupted" and event.run in owners:
            process, since = owners.pop(event.run)
            yield process, event.thread, since, event.at


def _spans(faults: Sequence[Fault], gap: float) -> Iterator[list[Fault]]:
    """Yield faults that follow one another so closely that nothing is renewed in between."""
    span: list[Fault] = []
    for fault in sorted(faults, key=lambda fault: fault.begin):
        if span and fault.begin > max(one.end for one in span) + gap:
            yield span
            span = []
        span.append(fault)
    if span:
        yield span


def _endangers(span: Sequence[Fault], at: float, lease: float) -> bool:
    """Return whether faults may have cost their process a lease that somebody else had at that time."""
    begin, end = span[0].begin, max(fault.end for fault in span)
    if at > end + NOTICED * lease:
        return False
    if any(fault.kind in FATAL for fault in span):
        return True
    lost = any(fault.kind in LOSSES for fault in span)
    return min(end, at) - begin >= (ENDANGERED_BY_LOSS if lost else ENDANGERED) * lease
