"""A report builder: a plain Python generator as an agent. Its steps, its progress and its text appear as they happen.

pip install statecast
statecast serve examples.generator.agent:agent            in the root of the checkout
python examples/generator/agent.py                        the same

README.md in this folder says what to try.
"""

import time
from collections.abc import Iterator

from statecast import Run, serve
from statecast.frameworks import GeneratorAgent, State
from statecast.state import Json

SALES = {"North": [120, 80, 95], "South": [60, 130, 70], "West": [40, 45, 50]}
PAUSE = 0.3  #: seconds that a step of the work takes


def report(run: Run) -> Iterator[Json]:
    """Yield what the page sees. It runs in a worker thread, so it may block."""
    steps = [{"title": f"Read {region}", "done": False} for region in SALES]
    yield State({"steps": steps, "totals": {}})
    totals: dict[str, int] = {}
    for step, (region, figures) in zip(steps, SALES.items(), strict=True):
        yield {"type": "tool-call", "toolCallId": region, "toolName": "read_sales", "args": {"region": region}}
        time.sleep(PAUSE)  # stands for the work
        totals[region], step["done"] = sum(figures), True
        yield {"type": "tool-call", "toolCallId": region, "result": figures}
        yield State({"steps": steps, "totals": totals})
    best = max(totals, key=lambda region: totals[region])
    for word in f"{best} sold most, {totals[best]} of {sum(totals.values())}.".split(" "):
        yield f"{word} "
        time.sleep(PAUSE / 10)


agent = GeneratorAgent(report, "reports")

if __name__ == "__main__":
    serve(agent)
