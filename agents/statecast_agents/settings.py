"""Settings are checked where they are made: one that makes no sense is an error that names it, not a server that spins.

A wrong type is a TypeError, a wrong value a ValueError. Both say what was expected, and what came.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec

__all__ = ["check_number", "check_numbers", "check_texts"]

#: Seconds of the shortest period: what is done again and again would otherwise keep the processor busy.
SHORTEST: Final = 0.001


def check_numbers(
    settings: msgspec.Struct,
    *,
    zero: Collection[str] = (),
    endless: Collection[str] = (),
    optional: Collection[str] = (),
) -> None:
    """Check all fields of `settings` that are numbers, or whether something is on.

    Args:
        settings: What is checked.
        zero: Fields that may be 0.
        endless: Periods that may be infinite.
        optional: Fields that may be None.

    Raises:
        TypeError: A field has the wrong type.
        ValueError: A number is out of range.
    """
    kind = type(settings)
    for name, declared in typing.get_type_hints(kind).items():
        value = getattr(settings, name)
        if name in optional and value is None:
            continue
        where = f"{kind.__name__}.{name}"
        if declared is bool:
            if not isinstance(value, bool):
                raise TypeError(f"expected {where} to be True or False, got {value!r}")
        elif declared in (int, float, float | None):
            period = name == "seconds" or name.endswith("_seconds")
            least = 0 if name in zero else SHORTEST if period else 1 if declared is int else None
            check_number(where, value, whole=declared is int, least=least, endless=name in endless)


def check_number(
    where: str,
    value: Any,
    *,
    whole: bool = False,
    least: float | None = None,
    most: float | None = None,
    endless: bool = False,
) -> None:
    """Check one number.

    Args:
        where: What it is the value of.
        value: The number.
        whole: Whether it has to be a whole one.
        least: The smallest that is allowed; None: any above 0.
        most: The largest that is allowed, if any is.
        endless: Whether it may be infinite.

    Raises:
        TypeError: It is no number.
        ValueError: It is out of range.
    """
    kind = "a whole number" if whole else "a number"
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise TypeError(f"expected {where} to be {kind}, got {value!r}")
    small = value <= 0 if least is None else value < least
    large = most is not None and value > most
    if math.isnan(value) or small or large or (math.isinf(value) and not endless):
        bounds = "above 0" if least is None else f"of at least {least:g}"
        bounds += f" and at most {most:g}" if most is not None else "" if endless else ", and finite"
        raise ValueError(f"expected {where} to be {kind} {bounds}, got {value!r}")


def check_texts(where: str, values: Any) -> Sequence[str]:
    """Check that `values` are texts, and not one, whose characters would be taken for them.

    Raises:
        TypeError: They are not.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Collection):
        raise TypeError(f"expected {where} to be a list of texts, got {values!r}")
    for value in values:
        if not isinstance(value, str):
            raise TypeError(f"expected {where} to be a list of texts, got {value!r} in it")
    return list(values)
