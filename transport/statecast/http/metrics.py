"""Metrics of a server, in the form that Prometheus reads. It needs the extra `metrics`.

Rule: no label has an id, or anything else that clients choose: agents, statuses and reasons are all there is.
"""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from statecast.threads import Hub, ObservedRun, Observer

from .counted import Counted, processes_here, summed
from .request.open_requests import OpenRequests

__all__ = ["Metrics"]

#: Upper bounds of histograms, in seconds: of what takes as long as a model, and of what takes as long as a disk.
LONG: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
SHORT: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)


class Metrics(Observer):
    """Counts what a hub does. Each app has a registry of its own; workers of one server count together.

    Args:
        hub: The hub.
        open_requests: The app's.
    """

    def __init__(self, hub: Hub, open_requests: OpenRequests) -> None:
        self.registry = CollectorRegistry()
        self._ended_entries = 0

        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(f"statecast_{name}", what, labels, registry=self.registry)

        def histogram(name: str, what: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"statecast_{name}", what, labels, registry=self.registry, buckets=buckets)

        self._runs = counter("runs", "Runs that have ended", "agent", "status")
        self._tokens = counter("tokens", "Tokens that agents report of model calls", "agent", "direction")
        self._queued = histogram(
            "run_queue_seconds", "From the acceptance of a run to its beginning", "agent", buckets=LONG
        )
        self._answered = histogram(
            "run_first_entry_seconds", "From a run's beginning to its agent's first change", "agent", buckets=LONG
        )
        self._took = histogram("run_seconds", "From a run's beginning to its end", "agent", buckets=LONG)
        self._commits = histogram("store_commit_seconds", "Batches of changes that were stored", buckets=SHORT)
        self._changes = counter("store_changes", "Changes that were stored")
        self._failures = counter("store_failures", "Batches that the store did not take", "reason")
        self._late = histogram("event_loop_lag_seconds", "Lateness of a timer, once a second", buckets=SHORT)
        self._fenced = counter("threads_fenced", "Threads that another process claimed while this one wrote to them")
        self._taken_over = counter("threads_taken_over", "Unfinished threads that this process has claimed")
        self._called = counter("calls_elsewhere", "Requests passed to the process that holds their thread")
        self.registry.register(_Levels(self, hub, open_requests))
        hub.observer.add(self)
        self._processes = processes_here()
        if self._processes is not None:
            self._processes.offer(self.counted)

    async def text(self) -> bytes:
        """Return all metrics as text: of this process, and of all with which it counts together."""
        if self._processes is None:
            return generate_latest(self.registry)
        others = await self._processes.others()
        together = CollectorRegistry()
        together.register(_Together(summed([self.counted(), *others])))
        return generate_latest(together)

    def counted(self) -> list[Counted]:
        """Return what this process has counted."""
        return [
            Counted(
                family.name,
                family.documentation,
                family.type,
                [(sample.name, dict(sample.labels), float(sample.value)) for sample in family.samples],
            )
            for family in self.registry.collect()
        ]

    def run_ended(self, run: ObservedRun) -> None:
        self._runs.labels(run.agent, run.state.status).inc()
        self._queued.labels(run.agent).observe(run.queued_seconds)
        self._ended_entries += run.entries
        if run.begun is not None:
            self._took.labels(run.agent).observe(run.seconds)
            if run.answered is not None:
                self._answered.labels(run.agent).observe(run.answered - run.begun)
            usage = run.answer().usage
            if usage is not None:
                self._tokens.labels(run.agent, "input").inc(max(0, usage.input_tokens))
                self._tokens.labels(run.agent, "output").inc(max(0, usage.output_tokens))

    def committed(self, changes: int, seconds: float, failure: str | None) -> None:
        if failure is not None:
            self._failures.labels(failure).inc()
            return
        self._commits.observe(seconds)
        self._changes.inc(changes)

    def thread_fenced(self) -> None:
        self._fenced.inc()

    def thread_taken_over(self) -> None:
        self._taken_over.inc()

    def called_elsewhere(self) -> None:
        self._called.inc()

    def woke_late(self, seconds: float) -> None:
        self._late.observe(seconds)

    @property
    def ended_entries(self) -> int:
        """The entries of runs that have ended."""
        return self._ended_entries


class _Together(Collector):
    """Yields what processes have counted together."""

    def __init__(self, counts: Sequence[Counted]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        for family in self._counts:
            metric = Metric(family.name, family.what, family.kind)
            for name, labels, value in family.samples:
                metric.add_sample(name, labels, value)
            yield metric


class _Levels(Collector):
    """Reads what the server has at the moment. O(threads and readers)."""

    def __init__(self, metrics: Metrics, hub: Hub, open_requests: OpenRequests) -> None:
        self._metrics = metrics
        self._hub = hub
        self._open_requests = open_requests

    def collect(self) -> Iterator[Metric]:
        """Yield the levels, and the sums that the hub counts itself."""
        hub = self._hub
        live = hub.live_runs
        active = sum(run.thread.log.revision - run.start for run in live if run.begun)
        yield CounterMetricFamily(
            "statecast_entries", "Entries that runs added to logs", value=self._metrics.ended_entries + active
        )
        yield CounterMetricFamily("statecast_sent_bytes", "Bytes that streams have sent", value=hub.sent_bytes)
        runs = GaugeMetricFamily("statecast_runs_live", "Runs queued or under way", labels=["agent", "status"])
        for (agent, status), number in Counts((run.thread.agent.name, run.state.status) for run in live).items():
            runs.add_metric([agent, status], number)
        yield runs
        followers = lag = 0
        for thread in hub.registry:
            followers += thread.readers
            for reader in thread.log.readers:
                lag = max(lag, thread.log.visible - reader.revision)
        yield GaugeMetricFamily("statecast_followers", "Streams that follow a thread", value=followers)
        yield GaugeMetricFamily(
            "statecast_follower_lag_entries", "Entries that the slowest of them is behind", value=lag
        )
        yield GaugeMetricFamily("statecast_threads", "Threads in memory", value=hub.threads)
        yield GaugeMetricFamily("statecast_leases", "Threads that this process has claimed", value=hub.registry.claimed)
        yield GaugeMetricFamily(
            "statecast_open_requests", "Requests, streams and sockets", value=self._open_requests.total
        )
        yield GaugeMetricFamily(
            "statecast_store_failing", "1 while the store takes nothing", value=hub.registry.journal.failing is not None
        )
