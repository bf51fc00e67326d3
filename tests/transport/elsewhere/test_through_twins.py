"""Tests of one process, with a client that reaches a process which holds no thread: its twin has claimed all."""

from __future__ import annotations

from types import ModuleType
from typing import Final

import pytest

from statecast import testing
from tests.transport import history_app
from tests.transport.elsewhere.twins import create_twins
from tests.transport.http import test_ag_ui as ag_ui
from tests.transport.http import test_chat as chat
from tests.transport.http import test_events as events
from tests.transport.http import test_local as local
from tests.transport.http import test_messages as messages
from tests.transport.http import test_patch as patch
from tests.transport.http import test_resume as resume
from tests.transport.http import test_resume_replay as replay
from tests.transport.http import test_socket as socket
from tests.transport.threads import test_asking as asking
from tests.transport.threads import test_cancel as cancel
from tests.transport.threads import test_deliveries as deliveries
from tests.transport.threads import test_policies as policies

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MODULES: Final = (
    events,
    local,
    patch,
    resume,
    replay,
    socket,
    ag_ui,
    chat,
    messages,
    asking,
    cancel,
    deliveries,
    policies,
)

#: What ends, or is looked at, inside the process that executes the run.
IN_ITS_PROCESS: Final = {
    "test_a_run_that_is_cancelled_ends_as_it_is",
    "test_a_server_that_stops_gives_no_answer_to_what_is_still_to_run",
    "test_the_end_of_the_server_closes_the_socket_behind_what_there_is",
    "test_the_end_of_the_server_ends_the_stream_behind_what_there_is",
    "test_who_only_looks_is_shown_the_last_answer_and_follows_the_one_that_is_made",
}


@pytest.fixture(autouse=True)
def twins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every app be one of two."""
    for module in (testing, history_app, *MODULES):
        if hasattr(module, "create_app"):
            monkeypatch.setattr(module, "create_app", create_twins)


@pytest.fixture
def store() -> str:
    """Return the store of tests that would take any."""
    return "memory"


def _collect(module: ModuleType) -> None:
    for name, found in vars(module).items():
        if name.startswith("test_") and name not in IN_ITS_PROCESS:
            globals()[f"{name}__{module.__name__.rpartition('.test_')[2]}"] = found


for _module in MODULES:
    _collect(_module)
