"""A process that commits a script, and says so: `python -m tests.stores.committing_process file seed 0 little`."""

from __future__ import annotations

import asyncio
import contextlib
import sys

from statecast.stores import SqliteStore
from tests.stores.model import script
from tests.stores.small_store import little

COMMITS = 300


async def main(file: str, seed: int, first: int) -> None:
    store = SqliteStore(file)
    await store.open()
    batches = script(seed, COMMITS)
    print("open", flush=True)
    for number in range(first, COMMITS):
        await store.commit(batches[number])
        print(number + 1, flush=True)
    await store.aclose()


if __name__ == "__main__":
    with little() if "little" in sys.argv else contextlib.nullcontext():
        asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
