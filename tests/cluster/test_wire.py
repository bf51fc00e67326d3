"""The wire does to connections what the nemesis asks of it, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.cluster.wire import DIRECTIONS, Direction, Wire

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def upper() -> AsyncIterator[tuple[Wire, list[bytes]]]:
    """Yield a wire to an engine that answers each line in capitals, and the lines that it has heard."""
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionResetError):
            while line := await reader.readline():
                heard.append(line)
                writer.write(line.upper())
        writer.close()

    engine = await asyncio.start_server(answer, "127.0.0.1", 0)
    address: tuple[str, int] = engine.sockets[0].getsockname()

    async def target() -> tuple[str, int]:
        return address

    async with Wire(target) as wire:
        yield wire, heard
    engine.close()


async def test_what_is_said_arrives() -> None:
    async with upper() as (wire, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        writer.write(b"one\ntwo\n")

        assert [await reader.readline(), await reader.readline()] == [b"ONE\n", b"TWO\n"]
        assert wire.passed == {"up": 8, "down": 8}
        writer.close()


@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_what_is_held_back_in_one_direction_arrives_later_and_in_order(direction: Direction) -> None:
    async with upper() as (wire, heard):
        reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        wire.hold(direction)
        writer.write(b"one\n")
        answer = asyncio.ensure_future(reader.readline())
        if direction == "down":
            while not heard:  # noqa: ASYNC110  # the engine's side does not tell
                await asyncio.sleep(0.001)
        writer.write(b"two\n")
        assert not answer.done()
        assert wire.passed[direction] == 0
        wire.heal()

        assert await answer == b"ONE\n"
        assert await reader.readline() == b"TWO\n"
        writer.close()


async def test_connections_that_are_cut_are_reset_and_new_ones_refused_until_it_heals() -> None:
    async with upper() as (wire, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        writer.write(b"one\n")
        assert await reader.readline() == b"ONE\n"

        wire.cut(down=True)
        with pytest.raises(ConnectionResetError):
            await reader.readline()
        writer.close()
        refused, unheard = await asyncio.open_connection("127.0.0.1", wire.port)
        with pytest.raises(ConnectionResetError):
            await refused.read()
        unheard.close()
        wire.heal()

        reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        writer.write(b"two\n")
        assert await reader.readline() == b"TWO\n"
        writer.close()
