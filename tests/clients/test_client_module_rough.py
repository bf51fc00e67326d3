"""`client.js` on a network that cuts, resets, stalls and refuses: all that was sent happens once, and in order."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from tests.chaos.proxy import Proxy
from tests.client.network import serving, until
from tests.clients.client_module import Module, running
from tests.clients.node import need_node
from tests.clients.test_client_module import app, check, note

pytestmark = pytest.mark.anyio

NOTES = 25
SILENCE = 1_500  # ms: what is stalled for good is noticed soon


@pytest.fixture(scope="module")
def node() -> Iterator[Module]:
    need_node()
    with running() as module:
        yield module
    assert module.console == []


@pytest.mark.parametrize("socket", [False, True], ids=["events", "socket"])
@pytest.mark.parametrize("seed", range(2))
async def test_what_was_sent_happens_once_and_in_order(node: Module, socket: bool, seed: int) -> None:
    async with serving(app()) as server:

        async def target() -> str:
            return server.url

        async with Proxy(target, Random(seed)) as proxy:
            proxy.rough = True
            thread = await node.thread(proxy.url, f"t{seed}", silence=SILENCE, socket=socket)
            await thread.subscribe()
            for number in range(NOTES):
                more = {"type": "write", "count": 20}
                await thread.do("begin", **{"as": str(number)}, commands=[note(str(number)), more])
            for number in range(NOTES):
                assert "value" in await thread.do("finish", **{"as": str(number)})
            proxy.calm()
            last = f's.state.notes.filter((it) => typeof it === "string").length === {NOTES}'
            await thread.wait(f's.connection === "open" && s.run?.status === "completed" && {last}')
            await check(thread, server.url, f"t{seed}")
            notes = (await thread.snapshot())["state"]["notes"]
            await thread.do("close")
            await until(lambda: not proxy._tasks)  # nothing is open any more

    assert [it for it in notes if isinstance(it, str)] == [str(number) for number in range(NOTES)]
    assert sum(proxy.harm.values()) > 3
