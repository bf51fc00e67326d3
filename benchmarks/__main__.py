"""`python -m benchmarks`: measure, and print the table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import msgspec

from .harness import Options, Result, machine, table
from .spread import merge, read

Measure = Callable[[Options], list[Result]]

#: Their modules, imported when their turn comes: what a framework loads would slow down the measures before it.
MEASURES = {
    "A": "operations",
    "B": "growth",
    "C": "burst",
    "D": "stream",
    "E": "many",
    "F": "stalled",
    "G": "idle",
    "H": "posted",
    "I": "fanout",
    "J": "durable",
    "K": "joining",
    "L": "crowded",
    "M": "followers",
    "N": "projections",
    "O": "graphs",
    "P": "putting",
    "Q": "adapters",
    "R": "stored",
    "S": "wide",
    "T": "audience",
    "U": "opening",
    "V": "large",
    "W": "lengths",
    "X": "mutation",
    "Y": "elsewhere",
    "Z": "appends",
    "AA": "processes",
    "AB": "failover",
    "AC": "crowds",
    "AD": "modelled",
}

DOCS = Path(__file__).parents[1] / "docs" / "performance.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure Statecast beside its limits.")
    parser.add_argument("--only", metavar="D,E", help="some of the measures: " + ", ".join(MEASURES))
    parser.add_argument("--rounds", type=int, help="rounds of each measure; by default as many as each needs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures with all samples to a file")
    parser.add_argument(
        "--spread", type=Path, nargs="+", metavar="FILE", help="instead of measuring, read the figures of several runs"
    )
    parser.add_argument(
        "--plot", nargs="?", const="all", metavar="text,run", help="draw the plots instead, or some anew"
    )
    parser.add_argument("--docs", action="store_true", help="put the figures into docs/performance.md")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a target is not met")
    arguments = parser.parse_args()
    if arguments.plot is not None:
        from . import plot

        curves = list(plot.CURVES) if arguments.plot == "all" else arguments.plot.split(",")
        if unknown := [name for name in curves if name not in plot.CURVES]:
            parser.error(f"expected curves out of {', '.join(plot.CURVES)}, got {', '.join(unknown)}")
        print(plot.draw(curves))
        return 0
    names = list(MEASURES) if arguments.only is None else arguments.only.upper().split(",")
    if unknown := [name for name in names if name not in MEASURES]:
        parser.error(f"expected measures out of {', '.join(MEASURES)}, got {', '.join(unknown)}")
    if arguments.spread is None:
        results, on = measured(names, Options(rounds=arguments.rounds)), machine()
        rounds = "the usual number of rounds" if arguments.rounds is None else f"{arguments.rounds} rounds"
        how = f"One run, {rounds}"
    else:
        runs = [read(file) for file in arguments.spread]
        results, on = merge([run.results for run in runs]), runs[-1].machine
        how = "Medians of several runs, and the spread of their ratios"
    print(table(results))
    where = ", ".join(f"{key} {value}" for key, value in on.items())
    print(where)
    if arguments.json is not None:
        figures = {"machine": on, "results": results}
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=1) + b"\n")
    if arguments.docs:
        write_docs(results, f"{how}: {where}.")
    missed = [result for result in results if result.verdict in ("over", "under")]
    return 1 if arguments.strict and missed else 0


def measured(names: list[str], options: Options) -> list[Result]:
    """Measure, and print each measure's table as it comes."""
    results: list[Result] = []
    for name in names:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        measure: Measure = import_module(f".{MEASURES[name]}", __package__).measure
        found = measure(options)
        results += found
        if len(names) > 1:
            print(table(found), file=sys.stderr, flush=True)
    return results


def write_docs(results: list[Result], how: str) -> None:
    """Put the table where docs/performance.md has the last one, and below it how it was measured."""
    head, begin, rest = DOCS.read_text(encoding="utf-8").partition("<!-- figures -->\n")
    _, end, tail = rest.partition("<!-- end of figures -->\n")
    if not (begin and end):
        raise ValueError(f"expected the marks of the figures in {DOCS}, got none")
    DOCS.write_text(f"{head}{begin}{table(results)}\n\n{how}\n{end}{tail}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
