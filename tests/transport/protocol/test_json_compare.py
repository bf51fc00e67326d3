"""Comparing JSON texts, against comparing what they decode to."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statecast.protocol import json_compare
from statecast.protocol.json_compare import same_json, same_text

SCALARS = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, -0.0, 1.0, 1.5, 1e23, "", "é", "/", "1"])
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abé"), inner, max_size=3),
    max_leaves=14,
)
FORMS = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "sort_keys": st.booleans(),
        "separators": st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", ":")]),
    }
)


def altered(value: Any, draw: Any) -> Any:
    """Return a value in which some parts may be other ones, some numbers of another type, and keys in another order."""
    if draw(st.integers(0, 12)) == 0:
        return draw(SCALARS)
    if isinstance(value, dict):
        keys = draw(st.permutations(list(value)))
        return {key: altered(value[key], draw) for key in keys}
    if isinstance(value, list):
        return [altered(item, draw) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and draw(st.booleans()):
        return float(value)
    return value


@given(value=VALUES, one=FORMS, other=FORMS, small=st.sampled_from([0, 20, 16_384]), data=st.data())
def test_texts_are_the_same_if_their_values_are(
    value: Any, one: dict[str, Any], other: dict[str, Any], small: int, data: st.DataObject
) -> None:
    changed = altered(value, data.draw)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_compare, "_SMALL", small)
        same = same_text(json.dumps(value, **one).encode(), json.dumps(changed, **other).encode())

    assert same == same_json(value, changed)


def test_what_is_the_same_in_both_texts_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"rows": [{"id": index, "text": "x" * 100} for index in range(1_000)], "count": 1}
    ours = msgspec.json.encode(state)
    state["rows"][700]["id"] = 700.0  # type: ignore[index]  # a list of dicts
    theirs = msgspec.json.encode(state)
    decoded: list[int] = []

    def decode(text: bytes) -> Any:
        decoded.append(len(text))
        return msgspec.json.decode(text)

    monkeypatch.setattr(json_compare, "_decode", decode)

    assert same_text(ours, theirs)
    assert sum(decoded) < 1_000


def test_a_text_is_walked_over_a_few_times_however_deep_it_nests(monkeypatch: pytest.MonkeyPatch) -> None:
    split, split_bytes = json_compare._split_list, 0

    def counting(text: bytes) -> list[msgspec.Raw]:
        nonlocal split_bytes
        split_bytes += len(text)
        return split(text)

    monkeypatch.setattr(json_compare, "_split_list", counting)
    ours, theirs = (b"[" * 100 + item + b',"%b"' % (b"x" * 50_000) + b"]" * 100 for item in (b"1", b"1.0"))

    assert same_text(ours, theirs)
    assert split_bytes <= 12 * len(theirs)


@pytest.mark.parametrize("text", [b"", b"{", b'{"a":}', b'["\xff"]'])
def test_what_is_not_json_is_an_error(text: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        same_text(text, b"[1]")
