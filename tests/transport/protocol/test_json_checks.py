"""Checks on JSON text, against slow references that build every value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from statecast.protocol import json_shape, json_values
from statecast.protocol.errors import RequestError
from statecast.protocol.json_checks import decode, read_text
from statecast.protocol.json_shape import check_count, check_nesting, count_values
from statecast.protocol.json_values import check_values
from statecast_agents import FORBIDDEN_KEYS, MAX_INTEGER
from statecast_agents.values import is_javascript_integer

#: Keys and texts that look like what the checks search for, without being it.
TRAPS = st.sampled_from(
    [
        "[",
        "}{",
        '"',
        "\\",
        '\\"',
        "\\\\",
        '"[',
        "[[[[",
        "12345678901234567890",
        "1e400",
        "__proto__",
        "\\u0041",
        "😀",
        "",
    ]
)
TEXTS = TRAPS | st.text(max_size=8)
KEYS = st.sampled_from([*FORBIDDEN_KEYS, "proto", "Constructor"]) | TEXTS
NUMBERS = st.integers(-(2**54), 2**54) | st.sampled_from(
    [MAX_INTEGER, MAX_INTEGER + 1, MAX_INTEGER + 2, -MAX_INTEGER - 2, 10**22, 10**30 + 1]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


def text_of(value: Any, *, ascii_only: bool) -> bytes:
    return json.dumps(value, ensure_ascii=ascii_only).encode()


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


def everything_in(value: Any) -> list[Any]:
    """Return a value and all that is within it, keys included as `(key,)`."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    keys = [(key,) for key in value] if isinstance(value, dict) else []
    return [value, *keys, *(found for item in inner for found in everything_in(item))]


def refused(check: Any, *args: Any) -> str | None:
    try:
        check(*args)
    except RequestError as refusal:
        return refusal.code
    return None


@given(value=VALUES, ascii_only=st.booleans(), limit=st.integers(0, 6))
@example(value=[["[[["]], ascii_only=True, limit=2)
def test_nesting_is_what_decoding_would_find(value: Any, ascii_only: bool, limit: int) -> None:
    expected = "too_deep" if depth_of(value) > limit else None

    assert refused(check_nesting, text_of(value, ascii_only=ascii_only), limit) == expected


@given(value=VALUES, ascii_only=st.booleans(), limit=st.integers(0, 4), block=st.integers(1, 9))
def test_where_a_block_ends_makes_no_difference(value: Any, ascii_only: bool, limit: int, block: int) -> None:
    text = text_of(value, ascii_only=ascii_only)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_shape, "_BLOCK", block)
        patch.setattr(json_values, "_BLOCK", block)
        in_blocks = refused(check_nesting, text, limit), refused(check_values, text)

    assert in_blocks == (refused(check_nesting, text, limit), refused(check_values, text))


@given(value=VALUES, ascii_only=st.booleans())
def test_values_are_what_a_client_would_change_or_refuse(value: Any, ascii_only: bool) -> None:
    found = everything_in(value)
    integers = [item for item in found if isinstance(item, int) and not isinstance(item, bool)]
    expected = None
    if any((key,) in found for key in FORBIDDEN_KEYS):
        expected = "forbidden_key"
    if not all(map(is_javascript_integer, integers)):
        expected = "number_out_of_range"

    assert refused(check_values, text_of(value, ascii_only=ascii_only)) == expected


#: Numbers as text, and what looks like one: long ones, large exponents, both in strings and next to them.
DIGITS = st.text("0123456789", min_size=1, max_size=20).map(lambda digits: digits.lstrip("0") or "0")
EXPONENTS = st.sampled_from(["", "", "e5", "E+30", "e-400", "e307", "e308", "E309", "e+0000001", "e00309", "E+999999"])
TOKENS = st.builds(
    "{}{}{}{}".format, st.sampled_from(["", "-"]), DIGITS, st.sampled_from(["", "", ".5", "." + "0" * 400]), EXPONENTS
) | st.sampled_from(["1" + "0" * 308, "1" + "0" * 309, "1" + "0" * 309 + ".0", "9" * 17 + "e292", "9" * 16 + ".0e292"])
MEMBERS = TOKENS | st.builds('{{"a":{}}}'.format, TOKENS) | st.builds('"x, {} ,e"'.format, TOKENS)
SEPARATORS = st.sampled_from([",", " ,", ", ", ",\n\t "])


@given(
    members=st.lists(MEMBERS, min_size=1, max_size=4),
    separator=SEPARATORS,
    bare=st.booleans(),
    block=st.integers(1, 40),
)
@example(members=["1" * 16], separator=",", bare=True, block=8)
@example(members=["1e999"], separator=",", bare=True, block=8)
@example(members=["9" * 16], separator=",\n\t ", bare=False, block=4)
def test_numbers_are_refused_that_decoding_would_refuse_or_a_client_would_change(
    members: list[str], separator: str, bare: bool, block: int
) -> None:
    text = members[0].encode() if bare else f"[{separator.join(members)}]".encode()
    expected = None
    try:
        found = everything_in(decode(text))
        integers = [item for item in found if isinstance(item, int) and not isinstance(item, bool)]
        if not all(map(is_javascript_integer, integers)):
            expected = "number_out_of_range"
    except RequestError as refusal:
        expected = refusal.code
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_values, "_BLOCK", block)
        assert refused(check_values, text) == expected


def values_in(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return 1 + sum(map(values_in, inner))


@given(value=VALUES, ascii_only=st.booleans(), spaces=st.booleans(), block=st.integers(1, 9))
@example(value=[["a"], [[]], {}, {"a": {}}], ascii_only=True, spaces=True, block=1)
def test_values_are_counted_as_decoding_would_find_them(value: Any, ascii_only: bool, spaces: bool, block: int) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=1 if spaces else None).encode()
    if spaces:  # also where json leaves none
        text = text.replace(b"[]", b"[ \n]").replace(b"{}", b"{ }") if b'"' not in text else text
    size = values_in(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_shape, "_BLOCK", block)
        assert count_values(text, size) == size
        assert refused(check_count, text, size) is None
        assert refused(check_count, text, size - 1) == "too_many_values"


@pytest.mark.parametrize("depth", [127, 128, 129])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_the_limit_of_nesting_is_exact(depth: int, opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    text = (opening * depth + "1" + closing * depth).encode()

    assert refused(check_nesting, text, 128) == ("too_deep" if depth > 128 else None)


def test_a_body_that_is_too_deep_at_its_start_is_not_read_through(monkeypatch: pytest.MonkeyPatch) -> None:
    brackets, blocks = json_shape._brackets, []

    def counting(data: bytes) -> Iterator[bytes]:
        for block in brackets(data):
            blocks.append(len(block))
            yield block

    monkeypatch.setattr(json_shape, "_brackets", counting)
    for opening in (b"[", b'{"a":'):
        assert refused(check_nesting, opening * 2**20, 128) == "too_deep"
    assert len(blocks) == 2


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("9007199254740991", None),
        ("-9007199254740991", None),
        ("9007199254740992", None),
        ("9007199254740993", "number_out_of_range"),
        ("-9007199254740993", "number_out_of_range"),
        ("[1,2,90071992547409910]", "number_out_of_range"),
        ("1152921504606847000", None),
        ("1152921504606846976", "number_out_of_range"),  # a power of two, which JavaScript prints otherwise
        ("1" + "0" * 22, None),
        ("1" + "0" * 308, None),
        ("1" + "0" * 309, "number_out_of_range"),
        ("9" * 100_000, "number_out_of_range"),
        ("9007199254740993.0", None),
        ("9007199254740993e0", None),
        ("0.12345678901234567890", None),
        ("1e308", None),
        ("[1,-1e309]", "number_out_of_range"),
        ("[0e999,1e-999]", None),
        ('["1e999","call 12345678901234567, now"]', None),
        ('"9007199254740993"', None),
        ('{"9007199254740993":1}', None),
        ('"\\\\",9007199254740993', "number_out_of_range"),
    ],
)
def test_integers_beyond_those_of_javascript(text: str, code: str | None) -> None:
    assert refused(check_values, text.encode()) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"__proto__":1}', "forbidden_key"),
        ('[{"a":{"constructor":1}}]', "forbidden_key"),
        ('{"prototype":1}', "forbidden_key"),
        ('{"\\u005f_proto__":1}', "forbidden_key"),
        ('{"\\u0063onstructor":1}', "forbidden_key"),
        ('{"a":"__proto__"}', None),
        ('["constructor"]', None),
        ('{"constructor" \n:1}', "forbidden_key"),
        ('{"a":"\\"constructor\\":1"}', None),
        ('{"\\"constructor":1}', None),
        ('{"\\\\u0070rototype":1}', None),
        ('{"__prot\\u006f__":1}', "forbidden_key"),
        ('{"constructors":1,"__proto":2}', None),
    ],
)
def test_keys_that_the_clients_refuse(text: str, code: str | None) -> None:
    assert refused(check_values, text.encode()) == code


@given(data=st.binary(max_size=12) | st.text(max_size=8).map(str.encode))
@example(data=b"\xef\xbb\xbf{}")
@example(data=b"\xed\xa0\x80")
@example(data=b"{}\xef\xbb\xbf")
def test_text_is_utf8_without_a_byte_order_mark(data: bytes) -> None:
    try:
        wrong = data.decode().startswith("\ufeff")
    except UnicodeDecodeError:
        wrong = True

    assert refused(read_text, data) == ("malformed_json" if wrong else None)


ESCAPES = st.lists(
    st.sampled_from(["\\ud83d", "\\ude00", "\\uD83D", "\\uDE00", "\\u0041", "x", "\\n", "\\\\"]), max_size=4
)


@given(escapes=ESCAPES)
def test_lone_surrogates_are_malformed(escapes: list[str]) -> None:
    units = [piece.lower() for piece in escapes]
    paired = re.sub("HL", "", "".join("H" if u == "\\ud83d" else "L" if u == "\\ude00" else "." for u in units))
    text = f'["{"".join(escapes)}"]'.encode()

    if "H" in paired or "L" in paired:
        with pytest.raises(RequestError) as caught:
            decode(text)
        assert caught.value.code == "malformed_json"
        assert "surrogate" in str(caught.value)
    else:
        assert decode(text) == json.loads(text)


def test_the_last_of_duplicate_keys_wins() -> None:
    assert decode(b'{"a":1,"b":2,"a":3}') == {"a": 3, "b": 2}


@pytest.mark.parametrize(
    ("text", "type", "code"),
    [
        (b"", Any, "malformed_json"),
        (b"{", Any, "malformed_json"),
        (b"{} {}", Any, "malformed_json"),
        (b"{'a':1}", Any, "malformed_json"),
        (b"NaN", Any, "malformed_json"),
        (b"Infinity", Any, "malformed_json"),
        (b'"\x01"', Any, "malformed_json"),
        (b'"\\q"', Any, "malformed_json"),
        (b"01", Any, "malformed_json"),
        (b"1e400", Any, "number_out_of_range"),
        (b"[" * 100_000, Any, "too_deep"),
        (b"1", str, "invalid_request"),
    ],
)
def test_what_cannot_be_decoded_has_a_stable_code(text: bytes, type: Any, code: str) -> None:
    assert refused(decode, text, type) == code
