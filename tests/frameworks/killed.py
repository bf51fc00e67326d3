"""A server that is killed while its model writes: `python -m tests.frameworks.killed <module of the rig> <folder>`."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
from pathlib import Path
from typing import cast

from tests.frameworks.provider import Hang, Text
from tests.frameworks.stage import Rig, Stage


async def main(rig: Rig, folder: Path) -> None:
    async with Stage(rig, folder).serve([Text("Hel"), Text("lo"), Hang()]) as page:
        async with page.saying("Hi"):
            await page.provider.hangs()
            await page.hears("Hello")
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(main(cast(Rig, importlib.import_module(sys.argv[1])), Path(sys.argv[2])))
