"""The demo's task: find the best weekend trip that a budget allows, and book it if the user agrees.

Three tools look things up at the same time, a table and a chart grow in the state while trips are compared, and the
budget may be changed meanwhile: `set-budget` is delivered into the run, which compares again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from typing import Annotated, Final

import msgspec

from statecast_agents import AssistantMessage, Command, Json, Run

from . import trips
from .trips import Hotel, Sight, Train, Trip

__all__ = ["Booking", "CityCost", "SetBudget", "book", "plan_trip"]

BUDGET: Final = 400  #: euros, unless the message names others
SHOWN: Final = 12  #: paces for which a trip is looked at
STEPS: Final = ("Read the request", "Look up trains, hotels and sights", "Compare trips", "Ask before booking", "Book")

Write = Callable[[str], Awaitable[None]]


class SetBudget(Command, frozen=True):
    """Change the budget of the trip, also while the agent compares trips."""

    euros: Annotated[int, msgspec.Meta(title="Euros", ge=50, le=2_000)]


class CityCost(msgspec.Struct):
    """What the cheapest trip to a city costs: a bar of the chart."""

    label: str
    value: int


class Booking(msgspec.Struct):
    """A trip that was booked."""

    city: str
    hotel: str
    total: int
    left: int  #: of the budget


async def plan_trip(run: Run, message: AssistantMessage, question: str, write: Write, pace: float) -> None:
    """Find the best trip, and book it if the user agrees.

    Args:
        run: The run.
        message: Where to say what was found.
        question: The user's message; a number in it is the budget.
        write: Appends text to the message, word by word.
        pace: Seconds between two steps of what is shown.
    """
    state, named = run.state, re.search(r"\d{2,4}", question)
    state.update(table=[], chart=[], budget=int(named[0]) if named else state.get("budget", BUDGET))
    state.pop("booking", None)
    state["plan"] = [{"title": title, "status": "running" if at == 0 else "pending"} for at, title in enumerate(STEPS)]
    await write(f"I look for the best weekend for {state['budget']} euros. ")
    _advance(run, 0)
    with closing(run.listen(SetBudget)) as budgets:
        found = await _look_up(run, message, pace)
        _advance(run, 1)
        while True:
            trip = await _compare(run, found, pace)
            changed = budgets.drain()
            if not changed:
                break
            state["budget"] = changed[-1].euros
            await write(f"The budget is {state['budget']} euros now, so I compare again. ")
    _advance(run, 2)
    if trip is None:
        await write(f"No trip is as cheap as {state['budget']} euros. Give me a larger budget with set-budget.")
        return
    await write(
        f"The best is {trip.city}: the train at {trip.departs}, {trips.NIGHTS} nights at {trip.hotel} and all sights "
        f"for {trip.total} euros. "
    )
    state["choice"] = trip
    approved = await run.approval(f"Shall I book {trip.city} for {trip.total} euros?", city=trip.city, total=trip.total)
    await book(run, write, approved=approved)


async def book(run: Run, write: Write, *, approved: bool) -> None:
    """Book the trip that was chosen, or leave it; also after a restart, from what the state says."""
    state = run.state
    trip = msgspec.convert(state.pop("choice"), Trip)
    _advance(run, 3)
    if not approved:
        await write("Then I book nothing.")
        return
    state["booking"] = Booking(city=trip.city, hotel=trip.hotel, total=trip.total, left=state["budget"] - trip.total)
    _advance(run, 4)
    await write(f"{trip.city} is booked, and {state['booking']['left']} euros are left.")


async def _look_up(run: Run, message: AssistantMessage, pace: float) -> list[Trip]:
    """Have three tools look things up at the same time, and return all trips."""

    async def tool(name: str, read: Callable[[], Sequence[Train | Hotel | Sight]], steps: int) -> None:
        call = message.add_tool_call(name, {"cities": "all"})
        with run.activity():
            rows = await asyncio.to_thread(read)
            for _ in range(steps):  # each takes its own time
                await asyncio.sleep(pace)
        cities = {row.city for row in rows}
        call.set_result({"found": len(rows), "cities": len(cities)})

    async with asyncio.TaskGroup() as tools:
        tools.create_task(tool("find_trains", trips.trains, 30))
        tools.create_task(tool("find_hotels", trips.hotels, 50))
        tools.create_task(tool("find_sights", trips.sights, 20))
    return list(trips.trips(trips.trains(), trips.hotels(), trips.sights()))


async def _compare(run: Run, found: Sequence[Trip], pace: float) -> Trip | None:
    """Show the trips that the budget allows one after the other, and return the best."""
    state = run.state
    state.update(table=[], chart=[], progress={"label": "Comparing trips", "done": 0, "total": len(found)})
    cheapest: dict[str, int] = {}
    for trip in found:
        if trip.total <= state["budget"]:
            state["table"].append(trip)
        if trip.city not in cheapest:
            cheapest[trip.city] = len(state["chart"])
            state["chart"].append(CityCost(trip.city, trip.total))
        elif trip.total < state["chart"][cheapest[trip.city]]["value"]:
            state["chart"][cheapest[trip.city]]["value"] = trip.total
        state["progress"]["done"] += 1
        await asyncio.sleep(SHOWN * pace)
    return trips.best(found, state["budget"])


def _advance(run: Run, step: int) -> None:
    """Mark a step of the plan as done, and the next one as running."""
    plan: list[dict[str, Json]] = run.state.get("plan") or []
    for index, status in ((step, "done"), (step + 1, "running")):
        if index < len(plan):
            plan[index]["status"] = status
