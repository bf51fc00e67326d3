"""What a text grows by is passed on without a look at it: in every protocol as if it had been read, and only then."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

import pytest

from statecast.protocol import MESSAGE_PROTOCOLS, Entry, MessageEncoder, OperationsEntry
from statecast.protocol.local.events import TypedEventsEncoder
from statecast.protocol.local.reply import JsonReplyEncoder
from statecast.protocol.local.text import ContentEventsEncoder, PlainTextEncoder
from statecast.protocol.messages.part_events import Event
from statecast.protocol.messages.projection import Projection
from statecast.protocol.openai.encoder import ChatCompletionStreamEncoder, Completion
from statecast_agents import Json
from tests.transport.answering_agent import Answering, projection
from tests.transport.projections import answered, deltas, told
from tests.transport.strict_ag_ui_client import encoder_of

PROTOCOLS: dict[str, Callable[[Projection], MessageEncoder]] = {
    **MESSAGE_PROTOCOLS,
    "completions": lambda read: ChatCompletionStreamEncoder(read, Completion(id="%b", model="%", created=1)),
    "text": PlainTextEncoder,
    "events": TypedEventsEncoder,
    "content": ContentEventsEncoder,
    "json": JsonReplyEncoder,
}

#: What an encoder could take for the end of a text, of an operation or of a line, or for a place to put something.
WORDS = ['"', "\\", '\\"', "\n", '"\n"', "\u2028", "😀", "%", "%b", "%%b", '"},{', '","value":', '"}]', "é", "\0"]


class Reading(Projection):
    """A projection that notes what it reads; the rest is passed on."""

    def __init__(self, base: Json) -> None:
        super().__init__(("messages",), run_id="run_1", base=base)
        self.looked_at: list[Entry] = []

    def read(self, entry: Entry) -> list[Event]:
        self.looked_at.append(entry)
        return super().read(entry)


def looks(answering: Answering) -> list[bool]:
    """Return which entries were looked at."""
    read = Reading(answering.base)
    encoder = MESSAGE_PROTOCOLS["ui-message-stream"](read)
    for entry in answering.entries:
        encoder.encode(entry)
    return [entry in read.looked_at for entry in answering.entries]


def unknown(entry: Entry) -> Entry:
    """Return an entry as a store returns it: what it is, only a look at it tells."""
    return OperationsEntry(entry.revision, entry.operations) if isinstance(entry, OperationsEntry) else entry


def check(answering: Answering) -> None:
    """Check that every protocol writes the same, whether pieces are passed on or read."""
    for name, make in PROTOCOLS.items():
        short, long = make(projection(answering)), make(projection(answering))
        for entry in answering.entries:
            assert short.encode(entry) == long.encode(unknown(entry)), name
        assert short.finish() == long.finish(), name
    one, other = encoder_of(answering), encoder_of(answering)
    for entry in answering.entries:
        assert one.encode(entry) == other.encode(unknown(entry)), "ag-ui"
    assert one.finish() == other.finish(), "ag-ui"


def growing(answering: Answering, *, pieces: list[str] = WORDS) -> None:
    message = answering.messages.assistant(id="%b %d %")
    answering.each(*[partial(message.append_text, piece) for piece in pieces])


def test_every_piece_but_the_first_ones_is_passed_on_whatever_is_in_it() -> None:
    answering = answered(growing)
    size = len(answering.entries)

    assert looks(answering) == [index < 3 or index == size - 1 for index in range(size)]  # the run, the part, where
    assert deltas(told(answering)) == WORDS
    check(answering)


def test_a_reasoning_and_the_arguments_of_a_call_are_passed_on_too() -> None:
    def write(answering: Answering) -> None:
        message = answering.messages.assistant()
        answering.each(*[partial(message.append_reasoning, piece) for piece in WORDS])
        call = message.add_tool_call("look_up")
        answering.each(*[partial(call.append_args, piece) for piece in ('{"x', "%b", '":"', "\\n", '"}')])
        answering.each(call.finish_args, partial(call.set_result, "%"))
        growing(answering)

    answering = answered(write)

    assert looks(answering).count(False) > 2 * (len(WORDS) - 2)
    check(answering)


def test_pieces_of_one_turn_are_one_and_growth_of_two_texts_is_read() -> None:
    def write(answering: Answering) -> None:
        answering.run.state["log"] = ""
        message = answering.messages.assistant()
        answering.each(*[partial(message.append_text, piece) for piece in "ab"])

        def once() -> None:
            for piece in ("c", '"', "d"):
                message.append_text(piece)

        def both() -> None:
            message.append_text("e")
            answering.run.append_text(["log"], "f")

        answering.each(once, both)
        answering.each(*[partial(message.append_text, piece) for piece in "gh"])

    answering = answered(write)

    assert looks(answering) == [True, True, True, False, True, True, False, True]
    assert deltas(told(answering)) == ["a", "b", 'c"d', "e", "g", "h"]
    check(answering)


@pytest.mark.parametrize("becomes", ["", "abc", "abcd", "abcde", "ab%", 'ab"'])
def test_a_text_that_was_set_in_between_is_read_and_goes_on(becomes: str) -> None:
    def write(answering: Answering) -> None:
        message = answering.messages.assistant()
        answering.each(*[partial(message.append_text, piece) for piece in "abcd"])
        part = message.message["parts"][0]
        answering.each(lambda: part.update(text=becomes))
        answering.each(*[partial(part.append_text, "text", piece) for piece in "xyz"])

    answering = answered(write)

    assert deltas(told(answering)) == [*"abcd", *(["e"] if becomes == "abcde" else []), *"xyz"]
    check(answering)


def test_what_was_passed_on_is_known_when_the_text_is_set_anew() -> None:
    random, pieces = Random(1), [*WORDS, *WORDS]
    for _ in range(50):
        random.shuffle(pieces)

        def write(answering: Answering) -> None:
            growing(answering, pieces=pieces)
            parts = [{"type": "text", "text": "".join(pieces) + " and more"}]
            answering.run.state["messages"][0]["parts"] = parts

        answering = answered(write)

        assert deltas(told(answering)) == [*pieces, " and more"]
        check(answering)


def test_a_text_that_has_moved_is_read_where_it_is_now() -> None:
    def write(answering: Answering) -> None:
        message = answering.messages.assistant()
        answering.each(*[partial(message.append_text, piece) for piece in "abc"])
        text = message.message["parts"][0]
        answering.each(
            lambda: message.message["parts"].insert(0, {"type": "source", "id": "s", "url": "https://e.org"})
        )
        answering.each(*[partial(text.append_text, "text", piece) for piece in "def"])

    answering = answered(write)

    assert looks(answering) == [True, True, True, False, True, True, False, False, True]
    assert deltas(told(answering)) == list("abcdef")
    check(answering)


def test_nothing_is_passed_on_behind_a_snapshot_or_what_is_emitted_beside_the_state() -> None:
    answering = Answering()
    message = answering.messages.assistant(id="m")
    answering.each(*[partial(message.append_text, piece) for piece in "abc"])
    state = answering.document.encode()
    behind = len(answering.entries)
    answering.each(*[partial(message.append_text, piece) for piece in "de"])
    answering.parts.append_text("!")
    answering.each(*[partial(message.append_text, piece) for piece in "fg"])
    answering.turn("completed")
    for name, make in PROTOCOLS.items():
        read = Reading(answering.base)
        short, long = make(read), make(projection(answering))
        for entry in answering.entries[:behind]:
            assert short.encode(entry) == long.encode(unknown(entry)), name
        assert short.snapshot(state, behind) == long.snapshot(state, behind), name
        before = len(read.looked_at)
        for entry in answering.entries[behind:]:
            assert short.encode(entry) == long.encode(unknown(entry)), name
        # Passed on are "e" and "g": where a text grows, its first piece shows.
        assert len(answering.entries) - behind - (len(read.looked_at) - before) == 2, name
        assert short.finish() == long.finish(), name
