"""`make load`, for two seconds."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import pytest

from benchmarks.gauges import Gauges, Reading
from tests.docs.pages import ROOT


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_a_load_shows_what_tokens_wait_and_what_the_server_uses(store: str) -> None:
    words = ["--streams", "3", "--followers", "2", "--seconds", "2", "--every", "2", "--store", store]

    made = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", *words], cwd=ROOT, capture_output=True, text=True, timeout=60
    )

    assert made.returncode == 0, made.stderr
    assert made.stderr == ""
    head, columns, line, *_ = made.stdout.splitlines()
    assert head == f"3 streams of 50 tokens/s each, 2 followers of the first, threads in {store}"
    assert columns.split()[:2] == ["s", "tokens/s"]
    assert re.fullmatch(r" +\d+ +[\d,]+( +[\d.]+ ms){4} +\d+% +\d+ MB", line), line


def test_on_a_terminal_a_load_draws_its_curves_in_place() -> None:
    out = io.StringIO()
    gauges = Gauges(out)

    for tokens in (50.0, 100.0):
        gauges.show(
            Reading(
                seconds=tokens / 50, tokens=tokens, streams=(0.001, 0.002), followers=None, cpu=0.5, memory=10_000_000
            )
        )

    first, redrawn, second = re.split("(\x1b\\[8F\x1b\\[J)", out.getvalue())
    assert redrawn
    assert first.count("\n") == second.count("\n") == 8
    assert "tokens/s ▄█" in second
    assert "streams p99" in second
    assert "2.0 ms" in second
