"""What the Python client says while it waits for a server that is not there."""

from __future__ import annotations

import logging

import anyio
import pytest

from statecast.client import Client, ClientError
from tests.client.network import Serving, until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("told", [False, True], ids=["nobody is told", "somebody is told"])
async def test_it_is_a_warning_once_unless_somebody_is_told(told: bool, caplog: pytest.LogCaptureFixture) -> None:
    troubles: list[ClientError | None] = []

    def said() -> list[logging.LogRecord]:
        return [record for record in caplog.records if record.name == "statecast.client"]

    server = Serving()
    await server.stop()
    with caplog.at_level("INFO", "statecast.client"):
        async with (
            Client(server.url, on_trouble=troubles.append if told else None) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(client.thread("t").ask, "hello")
            await until(lambda: len(said()) >= 3)  # as many tries
            tasks.cancel_scope.cancel()

    assert [record.levelname for record in said()[:3]] == (["INFO"] * 3 if told else ["WARNING", "INFO", "INFO"])
    assert server.url in said()[0].getMessage()
    assert (len(troubles) > 0) is told
