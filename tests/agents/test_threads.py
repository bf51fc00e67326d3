"""A state may be changed from any thread, while another flushes it."""

from __future__ import annotations

import copy
import json
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from statecast_agents import Document, Json, lazy, operations
from tests.agents.programs import same

WORKERS = 8
ROUNDS = 400

Work = Callable[[Json, int, int], None]


def append_to_one_list(state: Json, worker: int, step: int) -> None:
    state["list"].append({"worker": worker, "step": step})


def write_to_one_dict(state: Json, worker: int, step: int) -> None:
    state["dict"][f"{worker}/{step % 7}"] = [step]
    state["dict"].pop(f"{worker}/{step % 5}", None)
    state["dict"].update({f"{worker}": step, f"{worker}/x": {"step": step}})


def grow_a_text_of_its_own(state: Json, worker: int, step: int) -> None:
    state["texts"][worker] += f"{step} "
    state["texts"].append_text(worker, "😀")


def move_things_about(state: Json, worker: int, step: int) -> None:
    state["rows"].insert(step % 3, {"n": step})
    state["rows"].extend([step, state["rows"]] if step % 50 == 0 else [step])
    del state["rows"][:2]
    state["rows"].sort(key=str)


def copy_what_others_change(state: Json, worker: int, step: int) -> None:
    state["copies"][worker] = state["dict"]
    state["rows"] += [state["dict"]]
    state["rows"].pop()
    state["latest"].update({f"{worker}": state["dict"]})


WORK: list[list[Work]] = [
    [append_to_one_list],
    [write_to_one_dict],
    [grow_a_text_of_its_own],
    [move_things_about],
    [append_to_one_list, write_to_one_dict, grow_a_text_of_its_own, move_things_about],
    [write_to_one_dict, copy_what_others_change],
]


@pytest.mark.parametrize("adopts", [False, True], ids=["assigned", "adopted"])
@pytest.mark.parametrize("work", WORK, ids=lambda work: ", ".join(each.__name__ for each in work))
def test_threads_change_a_state_while_it_is_flushed(
    work: list[Work], adopts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lazy, "FEW", 0)
    before: Json = {"list": [], "dict": {}, "texts": [""] * WORKERS, "rows": [0, 1, 2], "copies": [None] * WORKERS}
    before["latest"] = {}
    document = Document.adopting(copy.deepcopy(before)) if adopts else Document(before)
    state = document.root
    frames: list[bytes] = []
    begin = threading.Barrier(WORKERS + 1)

    def live(worker: int) -> None:
        begin.wait()
        for step in range(ROUNDS):
            for change in work:
                change(state, worker, step)

    with _eager_switching(), ThreadPoolExecutor(WORKERS) as pool:
        lives = [pool.submit(live, worker) for worker in range(WORKERS)]
        begin.wait()
        while not all(each.done() for each in lives):
            frames.append(document.flush().operations)
    frames.append(document.flush().operations)

    for each in lives:
        each.result()
    client = before
    for frame in filter(None, frames):
        client = operations.apply(client, operations.decode(frame))
    assert same(client, document.root)
    if append_to_one_list in work:
        assert len(state["list"]) == WORKERS * ROUNDS
    if grow_a_text_of_its_own in work:
        assert state["texts"] == ["".join(f"{step} 😀" for step in range(ROUNDS))] * WORKERS


def test_a_thread_that_holds_the_lock_reads_what_nobody_changes_meanwhile() -> None:
    document = Document({"a": 0, "b": 0})
    stopped = threading.Event()

    def live() -> None:
        while not stopped.is_set():
            with document.lock:
                document.root["a"] += 1
                document.root["b"] += 1

    with _eager_switching(), ThreadPoolExecutor(1) as pool:
        lives = pool.submit(live)
        for _ in range(300):
            with document.lock:
                assert document.root["a"] == document.root["b"]
        stopped.set()
        lives.result()


def test_threads_that_look_at_the_same_part_get_the_same_object() -> None:
    rows = [{"cells": [{"n": number}]} for number in range(2_000)]
    document = Document.adopting({"rows": rows, "by": {str(number): {"n": number} for number in range(500)}})
    begin = threading.Barrier(WORKERS)

    def look(worker: int) -> list[int]:
        begin.wait()
        state: Json = document.root
        seen = [state["rows"][index] for index in range(1_000)]
        seen += [*state["rows"], *state["by"].values(), *(row["cells"] for row in state["rows"])]
        return [id(node) for node in seen]

    with _eager_switching(), ThreadPoolExecutor(WORKERS) as pool:
        first, *others = pool.map(look, range(WORKERS))
    assert all(other == first for other in others)


@pytest.mark.parametrize("stop", [Document.rest, lambda document: document.end(lambda: ValueError("ended"))])
def test_a_thread_reads_the_state_while_it_comes_to_rest_or_its_run_ends(stop: Callable[[Document], object]) -> None:
    rows = [{"cells": [{"n": number}]} for number in range(2_000)]

    def read(document: Document, began: threading.Event, stopped: threading.Event) -> None:
        while not stopped.is_set():
            assert document.root["text"] == "a"
            assert len(document.list_at(("rows",))) == 2_000
            began.set()

    with _eager_switching(), ThreadPoolExecutor(1) as pool:
        for _ in range(10):
            document = Document({"rows": rows, "text": "a"})
            began, stopped = threading.Event(), threading.Event()
            reads = pool.submit(read, document, began, stopped)
            began.wait(10)
            stop(document)
            stopped.set()
            reads.result()


def test_a_thread_looks_at_a_key_while_another_decodes_the_whole_state() -> None:
    document = Document.adopting(None, json.dumps({"rows": [0] * 5_000, "by": {"a": 1}}).encode())
    document.at(("rows",))
    waits = threading.Event()

    class Lock:
        """Tells that a thread is about to wait for the lock."""

        def __init__(self, lock: Any) -> None:
            self.lock = lock

        def __enter__(self) -> None:
            waits.set()
            self.lock.__enter__()

        def __exit__(self, *exc: object) -> None:
            self.lock.__exit__(*exc)

    lock = document._lock
    document._lock = Lock(lock)  # type: ignore[assignment]  # only what `with` needs
    with ThreadPoolExecutor(1) as pool, lock:
        looks = pool.submit(document.at, ("by",))
        assert waits.wait(10)
        assert document.root["by"] == {"a": 1}
        lock.__exit__(None, None, None)
        try:
            assert looks.result(10) == {"a": 1}
        finally:
            lock.__enter__()


def test_a_part_of_another_state_is_assigned_without_the_lock_of_that_state() -> None:
    other = Document.adopting({"rows": [{"n": number} for number in range(500)], "by": {"a": {"b": [{}] * 300}}})
    rows, by = other.root["rows"], other.root["by"]
    document = Document({})
    with ThreadPoolExecutor(1) as pool, other.lock:  # whoever has it may wait for the lock of `document`
        assigns = pool.submit(document.root.update, rows=rows, by=by)
        assigns.result(10)
    assert document.root == other.root
    document.root["rows"][0]["n"] = -1
    assert other.root["rows"][0] == {"n": 0}


def test_a_list_that_another_thread_shortens_can_be_read_meanwhile() -> None:
    with _eager_switching(), ThreadPoolExecutor(1) as pool:
        for _ in range(20):
            rows: Json = Document.adopting([{"n": [number]} for number in range(1_000)]).root
            shortens = pool.submit(lambda rows: [rows.pop() for _ in range(900)], rows)
            while not shortens.done():
                assert len([*rows]) >= 100
                assert len(rows[-50:]) == 50
                backwards = [row["n"][0] for row in reversed(rows)]  # as with a list, what is gone ends it
                assert backwards == sorted(backwards, reverse=True)
            shortens.result()


@contextmanager
def _eager_switching() -> Iterator[None]:
    """Let Python switch between threads as often as it can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
