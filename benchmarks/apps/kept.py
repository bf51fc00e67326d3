"""Statecast with the store that the environment names, and the agent of `ours`."""

from __future__ import annotations

import os

from benchmarks.apps.ours import agent
from statecast import Connections, Limits, create_app

limits = Limits(runs=100_000, connections=Connections(sockets=20_000))
app = create_app(agent, store=os.environ.get("STORE", "memory"), limits=limits)
