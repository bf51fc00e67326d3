"""Tell the story of a seed: `python -m tests.simulation SEED`. It prints the history, and what is wrong."""

from __future__ import annotations

import argparse

from tests.simulation.story import tell

parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Tell the story of a seed.")
parser.add_argument("seed", type=int, nargs="?", default=0)
parser.add_argument("--traces", type=int, metavar="N", help="print the traces of the first N seeds instead")
options = parser.parse_args()
if options.traces is not None:
    for seed in range(options.traces):
        print(seed, tell(seed).trace)
else:
    story = tell(options.seed)
    print(*story.history, story, sep="\n")
