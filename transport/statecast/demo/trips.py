"""Weekend trips, computed from the trains, hotels and sights in `data/`."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Final, TypeVar

import msgspec

__all__ = ["NIGHTS", "Hotel", "Sight", "Train", "Trip", "best", "hotels", "sights", "trains", "trips"]

NIGHTS: Final = 2

_DATA: Final = Path(__file__).parent / "data"


class Train(msgspec.Struct, frozen=True):
    """A train to a city. Its price is that of one way."""

    city: str
    departs: str
    hours: float
    price: int


class Hotel(msgspec.Struct, frozen=True):
    """A hotel."""

    city: str
    name: str
    night: int  #: the price of one
    rating: float


class Sight(msgspec.Struct, frozen=True):
    """What there is to see in a city."""

    city: str
    name: str
    price: int
    rating: float


class Trip(msgspec.Struct, frozen=True):
    """A weekend: the train both ways, two nights, and all sights of the city."""

    city: str
    departs: str
    hours: float
    hotel: str
    total: int
    score: float


_Row = TypeVar("_Row", Train, Hotel, Sight)


def trains() -> list[Train]:
    """Return all trains."""
    return _rows("trains", list[Train])


def hotels() -> list[Hotel]:
    """Return all hotels."""
    return _rows("hotels", list[Hotel])


def sights() -> list[Sight]:
    """Return all sights."""
    return _rows("sights", list[Sight])


def trips(trains: Sequence[Train], hotels: Sequence[Hotel], sights: Sequence[Sight]) -> Iterator[Trip]:
    """Yield every trip, city by city.

    Its score is the rating of the hotel and the average one of the sights, less a point for every four hours of train.
    """
    for city in dict.fromkeys(train.city for train in trains):
        seen = [sight for sight in sights if sight.city == city]
        entrance = sum(sight.price for sight in seen)
        worth = sum(sight.rating for sight in seen) / max(len(seen), 1)
        for train, hotel in product(_of(city, trains), _of(city, hotels)):
            yield Trip(
                city=city,
                departs=train.departs,
                hours=train.hours,
                hotel=hotel.name,
                total=2 * train.price + NIGHTS * hotel.night + entrance,
                score=round(hotel.rating + worth - train.hours / 4, 2),
            )


def best(found: Sequence[Trip], budget: int) -> Trip | None:
    """Return the trip with the best score that the budget allows, of equal ones the cheapest."""
    affordable = [trip for trip in found if trip.total <= budget]
    return min(affordable, key=lambda trip: (-trip.score, trip.total), default=None)


def _of(city: str, rows: Sequence[_Row]) -> list[_Row]:
    return [row for row in rows if row.city == city]


def _rows(name: str, kind: type[list[_Row]]) -> list[_Row]:
    with (_DATA / f"{name}.csv").open(encoding="utf-8", newline="") as lines:
        return msgspec.convert(list(csv.DictReader(lines)), kind, strict=False)
