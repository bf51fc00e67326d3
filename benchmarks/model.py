"""The model of a large installation: figures measured on a small one, multiplied, and nothing else.

`python -m benchmarks.model FIGURES.json` prints what 1,000,000 followers on 100 machines need, what breaks first coming
first. `modelled` measures the figures, and checks the model at one, two and four processes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

__all__ = ["Figures", "Need", "Workload", "cores", "engine_cores", "needs"]


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What one of each costs, in seconds of one core unless it says otherwise."""

    token: float  #: for the owner of a run: the agent, the log, and the store's client
    entry: float  #: for a process that follows a thread of another one: to read an entry of it
    frame: float  #: to send an entry to one follower
    poll: float  #: to ask once for a thread that nothing happens on
    engine_token: float  #: for the engine: to store an entry, and pass a hint on
    engine_entry: float  #: to read it for one process
    engine_poll: float  #: to find that there is nothing new
    follower_bytes: float  #: memory of each follower
    frame_bytes: float  #: on the network


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """Who does what."""

    followers: int
    followers_each: int  #: of one thread
    talking: float  #: the share of threads that a run talks on
    tokens: float  #: a second, of each of these
    machines: int
    processes: int  #: on each machine
    sticky: bool = False  #: whether the followers of a thread are sent to the same process

    @property
    def threads(self) -> float:
        """How many threads are followed."""
        return self.followers / self.followers_each

    @property
    def written(self) -> float:
        """Entries a second."""
        return self.threads * self.talking * self.tokens

    @property
    def mirrors(self) -> float:
        """How many processes follow each thread that another one owns."""
        if self.sticky:
            return 1.0
        total = self.machines * self.processes
        reached = total * (1 - (1 - 1 / total) ** self.followers_each)
        return reached * (1 - 1 / total)


class Need(msgspec.Struct, frozen=True):
    """What is needed of something, and what there is of it."""

    what: str
    needed: float
    available: float
    unit: str

    @property
    def share(self) -> float:
        """The share of it that is needed; beyond 1 it breaks."""
        return self.needed / self.available


def cores(figures: Figures, workload: Workload, *, mirrors: float | None = None) -> float:
    """Return the cores that all servers need."""
    mirrors = workload.mirrors if mirrors is None else mirrors
    frames = workload.written * workload.followers_each
    followed = workload.threads * mirrors
    return (
        workload.written * (figures.token + mirrors * figures.entry) + frames * figures.frame + followed * figures.poll
    )


def engine_cores(figures: Figures, workload: Workload, *, mirrors: float | None = None) -> float:
    """Return the cores that the engine needs."""
    mirrors = workload.mirrors if mirrors is None else mirrors
    reading = mirrors * figures.engine_entry
    return workload.written * (figures.engine_token + reading) + workload.threads * mirrors * figures.engine_poll


def needs(
    figures: Figures, workload: Workload, *, cores_each: int = 4, memory: float = 16e9, sockets: int = 19_500
) -> list[Need]:
    """Return what a workload needs of each resource, what is nearest to its end first.

    Args:
        figures: What one of each costs.
        workload: Who does what.
        cores_each: Cores of a machine.
        memory: Bytes of a machine.
        sockets: Of a process.
    """
    frames = workload.written * workload.followers_each
    machine = workload.followers / workload.machines
    found = [
        Need("the engine, if it is one Redis", engine_cores(figures, workload), 1.0, "cores"),
        Need("the cores of a machine", cores(figures, workload) / workload.machines, float(cores_each), "cores"),
        Need(
            "one core of a process",
            cores(figures, workload) / workload.machines / workload.processes,
            1.0,
            "cores",
        ),
        Need("the sockets of a process", machine / workload.processes, float(sockets), ""),
        Need("the memory of a machine", machine * figures.follower_bytes / 1e9, memory / 1e9, "GB"),
        Need("the network of a machine", frames * figures.frame_bytes * 8 / workload.machines / 1e9, 10.0, "Gbit/s"),
    ]
    return sorted(found, key=lambda need: -need.share)


MILLION = Workload(followers=1_000_000, followers_each=5, talking=0.1, tokens=20.0, machines=100, processes=4)


def main() -> int:
    """Print what a million followers need, as they come and sent to one process a thread."""
    figures = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Figures)
    for sticky in (False, True):
        workload = msgspec.structs.replace(MILLION, sticky=sticky)
        print(
            f"{workload.followers:,} followers of {workload.threads:,.0f} threads, {workload.written:,.0f} entries/s, "
            f"each read by {workload.mirrors:.2f} processes{', the followers of a thread in one' if sticky else ''}"
        )
        for need in needs(figures, workload):
            verdict = f"breaks at {workload.followers / need.share:,.0f} followers" if need.share > 1 else ""
            amount = f"{need.needed:10.3g} of {need.available:8.3g} {need.unit:7}"
            print(f"  {need.what:32} {amount} {need.share:7.0%} {verdict}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
