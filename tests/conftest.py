"""What holds for all tests."""

from __future__ import annotations

import logging
import signal

import pytest
from hypothesis import settings

#: The folders whose files take longest, in the order in which they start: none of them is to be the last one running.
LONG_FIRST = ("stories", "chaos", "cluster", "nextjs", "page", "docs", "clients", "examples", "client", "web")

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("statecast", deadline=None)
settings.load_profile("statecast")

# A shell that starts a command in the background may ignore SIGINT for it. The programs that tests start would inherit
# that, and no Ctrl-C would end them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Move the tests of the slow folders to the front; within a folder their order stays."""
    tests = config.rootpath / "tests"
    order = {tests / folder: place for place, folder in enumerate(LONG_FIRST)}
    items.sort(key=lambda item: order.get(item.path.parent, len(order)))


@pytest.fixture(autouse=True)
def _level_of_logs() -> None:
    """Let each test begin with the usual level of logs: apps of some frameworks set another for all of them."""
    logging.getLogger().setLevel(logging.WARNING)
