"""Statecast with the store that the environment names, and the agent of `ours`."""

from __future__ import annotations

import os

from benchmarks.apps.ours import agent
from statecast import Limits, create_app

app = create_app(agent, store=os.environ.get("STORE", "memory"), limits=Limits(runs=100_000))
