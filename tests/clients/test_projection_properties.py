"""What an agent writes into its messages, in whatever pieces, the published readers of each protocol have at the end.

STATECAST_HISTORIES is how many random histories are tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random

import msgspec
import pytest

from statecast.protocol import MESSAGE_PROTOCOLS, Entry, OperationsEntry
from statecast.protocol.ai_sdk.request import read_chat
from statecast.protocol.messages.client_copy import ClientCopy
from statecast.protocol.messages.encoder import MessageEncoder
from statecast.protocol.messages.part_events import Event
from statecast.protocol.messages.projection import Projection
from tests.clients.conversing_agent import Part, held
from tests.clients.histories import RUN, History
from tests.clients.messages import DECODERS, Decoder, Decoders, Read
from tests.counts import count

BEGUN = 2  #: entries that a run begins with, and that nobody sees apart

HISTORIES = count("HISTORIES", 20, long=50)


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    with Decoders() as running:
        yield running


@pytest.fixture(params=list(DECODERS))
def decoder(request: pytest.FixtureRequest) -> Decoder:
    name: Decoder = request.param
    return name


class Counting(Projection):
    """A projection that counts what is read."""

    count = 0

    def read(self, entry: Entry) -> list[Event]:
        self.count += 1
        return super().read(entry)


def unknown(entry: Entry) -> Entry:
    """Return an entry of which nobody knows what it is before it is read, as a store returns it."""
    return OperationsEntry(entry.revision, entry.operations) if isinstance(entry, OperationsEntry) else entry


def encoder_of(decoder: Decoder, projection: Projection) -> MessageEncoder:
    return MESSAGE_PROTOCOLS[DECODERS[decoder]](projection)


def body_of(encoder: MessageEncoder, history: History, cut: tuple[int, int] = (0, 0)) -> bytes:
    """Return a stream whose reader fell behind at an entry, and went on with a snapshot at another one."""
    left, back = cut
    pieces = [encoder.encode(entry) for entry in history.entries[:left]]
    if back > left:
        pieces.append(encoder.snapshot(history.states[back - 1], back, history.rest(left, back)))
    pieces += [encoder.encode(entry) for entry in history.entries[back:]]
    return b"".join(pieces) + encoder.finish()


def at_random(random: Random, history: History) -> tuple[int, int]:
    left, back = sorted(random.sample(range(len(history.entries) + 1), 2))
    return left, max(back, BEGUN)


def written(messages: list[Part]) -> list[Part]:
    """Return the parts of a run's messages."""
    said = held({"messages": messages})
    return said[0][1] if said else []


def check(read: Read, history: History) -> None:
    assert (read.error, read.warnings) == (None, []), history.story
    ours = read.may_show(written(history.answer))
    if read.decoder == "ui-message-stream":  # it shows a call when its arguments are complete
        assert whole(read.shown) == whole(ours), history.story
    else:
        assert read.shown == ours, history.story


def test_an_orderly_history_is_read_back(decoders: Decoders, decoder: Decoder) -> None:
    for seed in range(HISTORIES):
        history = History(Random(seed), 25)
        encoder = encoder_of(decoder, Projection(["messages"], run_id=RUN, base=history.base))

        check(decoders.read(decoder, body_of(encoder, history)), history)


def test_a_reader_that_fell_behind_anywhere_has_it_all_at_the_end(decoders: Decoders, decoder: Decoder) -> None:
    for seed in range(HISTORIES):
        history, random = History(Random(seed), 25), Random(seed)
        encoder = encoder_of(decoder, Projection(["messages"], run_id=RUN, base=history.base))

        check(decoders.read(decoder, body_of(encoder, history, at_random(random, history))), history)


def test_one_history_is_cut_everywhere(decoders: Decoders, decoder: Decoder) -> None:
    history = History(Random(7), 18)
    size = len(history.entries)
    for left in range(size):
        for back in range(max(left + 1, BEGUN), size + 1):
            encoder = encoder_of(decoder, Projection(["messages"], run_id=RUN, base=history.base))
            check(decoders.read(decoder, body_of(encoder, history, (left, back))), history)
    assert size > 12


def test_a_client_that_joins_anywhere_has_it_all_at_the_end(decoders: Decoders, decoder: Decoder) -> None:
    for seed in range(HISTORIES):
        history = History(Random(seed), 25)
        at = Random(seed).randint(BEGUN, len(history.entries))
        encoder = encoder_of(decoder, Projection(["messages"], run_id=RUN))

        check(decoders.read(decoder, body_of(encoder, history, (0, at))), history)


def test_a_client_goes_on_with_what_it_has(decoders: Decoders) -> None:
    for seed in range(HISTORIES):
        history, random = History(Random(seed), 25, streams=False), Random(seed)
        left, back = at_random(random, history)
        first = encoder_of("ai-sdk", Projection(["messages"], run_id=RUN, base=history.base))
        begun = decoders.read("ai-sdk", b"".join(map(first.encode, history.entries[:left])) + first.finish())
        message = {"id": "m", "role": "assistant", "parts": begun.parts}
        projection = Projection(["messages"], run_id=RUN, client_copy=had_of(message))
        again = encoder_of("ai-sdk", projection)
        body = again.snapshot(history.states[back - 1], back, history.rest(0, back))
        body += b"".join(map(again.encode, history.entries[back:])) + again.finish()
        read = decoders.read("ai-sdk", body, message)

        assert (read.error, read.warnings) == (None, [])
        assert whole(read.shown) == whole(written(history.answer)), history.story


def had_of(message: Mapping[str, object]) -> ClientCopy:
    """Return what a client has that posts a message."""
    client_copy = read_chat(msgspec.json.encode({"id": "t", "messages": [message]})).client_copy()
    assert client_copy is not None
    return client_copy


def whole(parts: list[Part]) -> list[Part]:
    """Return parts with all texts of a kind as one, and the others in an order of ours."""
    texts = {kind: "".join(part[1] for part in parts if part[0] == kind) for kind in ("text", "reasoning")}
    return sorted((part for part in parts if part[0] not in texts), key=repr) + list(texts.items())


def test_a_wild_history_is_readable_and_nothing_that_lasts_is_missing(decoders: Decoders, decoder: Decoder) -> None:
    for seed in range(HISTORIES):
        history, random = History(Random(seed), 25, wild=True), Random(seed)
        cut = at_random(random, history) if seed % 2 else (0, 0)
        encoder = encoder_of(decoder, Projection(["messages"], run_id=RUN, base=history.base))
        read = decoders.read(decoder, body_of(encoder, history, cut))

        assert (read.error, read.warnings) == (None, []), history.story
        calls = [part["toolCallId"] for part in read.parts if "toolCallId" in part]
        assert len(calls) == len(set(calls)), history.story
        lasting = ("source", "file", "tool-call") if decoder == "ai-sdk" else ("source", "file")
        lasts = [part for part in read.may_show(written(history.answer)) if part[0] in lasting]
        settled = [part for part in lasts if part[0] != "tool-call" or len(part) > 3]
        assert [part for part in settled if part not in read.shown] == [], history.story


def test_the_short_way_writes_what_the_long_way_writes(decoder: Decoder) -> None:
    passed_on = 0
    for seed in range(HISTORIES):
        history = History(Random(seed), 40, wild=seed % 2 == 0)
        cut = at_random(Random(seed), history) if seed % 3 else (0, 0)
        short = Counting(["messages"], run_id=RUN, base=history.base)
        long = Counting(["messages"], run_id=RUN, base=history.base)
        body = body_of(encoder_of(decoder, short), history, cut)
        history.entries = [unknown(entry) for entry in history.entries]

        assert body == body_of(encoder_of(decoder, long), history, cut)
        passed_on += long.count - short.count
    assert passed_on > HISTORIES
