"""Tell stories: `python -m tests.stories [--stories 200] [--seed N] [--from N]`.

A story that harms somebody is printed with what repeats it. Stories of one chapter share a server, so what repeats one
for certain is its chapter; `--from` tells from a later story on.
"""

from __future__ import annotations

import argparse
import asyncio
import os

from tests.stories.storyteller import tell


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.stories", description="Tell stories of harm.")
    parser.add_argument("--stories", type=int, default=200, help="how many")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)), help="what decides")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the number of the first one")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    asyncio.run(tell(options.seed, options.first, options.stories, say=lambda text: print(text, flush=True)))
    print(f"{options.stories} stories told; nobody was harmed")


if __name__ == "__main__":
    main()
