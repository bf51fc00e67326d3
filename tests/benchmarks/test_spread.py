"""The figures of several runs in one table."""

from __future__ import annotations

from benchmarks.harness import Result, table
from benchmarks.spread import merge


def line(measure: str, ratio: float) -> Result:
    return Result(measure=measure, unit="ms", ours=ratio * 2, limit=2.0, ratio=ratio, target=1.5)


def test_lines_of_several_runs_are_merged_by_their_title_and_its_turn() -> None:
    first = [line("B. one", 1.0), line("B. the same", 5.0), line("B. the same", 7.0)]
    second = [line("A. other", 1.0), line("B. one", 2.0), line("B. the same", 6.0), line("B. the same", 8.0)]
    third = [line("B. one", 1.2)]

    merged = merge([first, second, third])

    assert [(found.measure, found.ratio, found.spread) for found in merged] == [
        ("A. other", 1.0, None),
        ("B. one", 1.2, (1.0, 2.0)),
        ("B. the same", 5.5, (5.0, 6.0)),
        ("B. the same", 7.5, (7.0, 8.0)),
    ]
    assert [found.verdict for found in merged] == ["ok", "ok", "over", "over"]


def test_a_table_has_a_column_for_the_spread_only_where_there_is_one() -> None:
    assert "spread" not in table([line("A", 1.0)])
    assert "| 1.00 – 2.00 |" in table(merge([[line("A", 1.0)], [line("A", 2.0)]]))
