"""Names, media types and signatures of attachments."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statecast.files import (
    Signer,
    Uploads,
    disposition,
    filename_of,
    fresh_name,
    is_among,
    is_name,
    media_type,
    name_in,
)
from statecast.files.media import is_shown
from statecast.files.names import cleaned

NAMES = [
    ("photo.png", "photo.png"),
    ("My holiday (2).jpeg", "My_holiday__2_.jpeg"),
    ("Blüten 花.txt", "Blüten_花.txt"),
    ("Blu\u0308ten.txt", "Blüten.txt"),
    ("हिन्दी.pdf", "हिन्दी.pdf"),
    ("../../etc/passwd", "passwd"),
    ("C:\\Users\\ann\\notes.md", "notes.md"),
    (".bashrc", "bashrc"),
    ("..", "file"),
    ("", "file"),
    ("a/", "file"),
    ("x\x00y\r\nz.txt", "x_y__z.txt"),
    ("\ud800.txt", "txt"),
    ("a\u202egnp.exe", "a_gnp.exe"),
    ("a" * 2_000 + ".png", "a" * 96 + ".png"),
    ("花" * 2_000 + ".png", "花" * 32 + ".png"),
    ("a." + "b" * 2_000, "a." + "b" * 98),
]


@pytest.mark.parametrize(("filename", "kept"), NAMES, ids=range(len(NAMES)))
def test_a_name_keeps_what_is_harmless_in_it(filename: str, kept: str) -> None:
    assert filename_of(fresh_name(filename)) == kept


@given(st.text())
def test_every_file_gets_a_name_of_its_own_that_is_one(filename: str) -> None:
    one, other = fresh_name(filename), fresh_name(filename)

    assert one != other
    assert is_name(one)
    assert len(one.encode()) < 150
    assert cleaned(cleaned(filename)) == cleaned(filename)
    assert not set(one) & set("/\\\x00\r\n\"'% ")


@pytest.mark.parametrize(
    "text", ["", "photo.png", "file_x-photo.png", f"file_{'x' * 32}-", f"file_{'x' * 32}-../a", f"file_{'x' * 32}-a\n"]
)
def test_nothing_else_is_a_name(text: str) -> None:
    assert not is_name(text)


TYPED = [
    ("image/png", "a", "image/png"),
    ("IMAGE/PNG", "a", "image/png"),
    ("text/plain;charset=UTF-8", "a", "text/plain; charset=utf-8"),
    ('text/plain ; x=y; charset="utf-8"', "a", "text/plain; charset=utf-8"),
    ("", "a.PNG", "image/png"),
    ("", "a.md", "text/markdown"),
    ("application/octet-stream", "a.csv", "text/csv"),
    ("application/octet-stream", "a", "application/octet-stream"),
    ("", "a.svg.gz", "application/octet-stream"),
    ("", "a.unheard-of", "application/octet-stream"),
    ("image", "a.png", None),
    ("image/", "a.png", None),
    ("image/*", "a.png", None),
    ("image/png, text/html", "a", None),
    ("image/png\r\nx: y", "a", None),
    (f"image/{'x' * 200}", "a", None),
]


@pytest.mark.parametrize(("header", "filename", "kind"), TYPED)
def test_a_type_is_what_the_header_says_or_else_the_ending(header: str, filename: str, kind: str | None) -> None:
    assert media_type(header, filename) == kind


@pytest.mark.parametrize(
    ("kind", "patterns", "among"),
    [
        ("image/png", ["image/*"], True),
        ("image/png", ["text/*", "image/png"], True),
        ("text/plain; charset=utf-8", ["text/plain"], True),
        ("application/zip", ["*/*"], True),
        ("imagery/png", ["image/*"], False),
        ("image/png", ["image/p"], False),
        ("image/png", [], False),
    ],
)
def test_a_pattern_stands_for_types(kind: str, patterns: list[str], among: bool) -> None:
    assert is_among(kind, patterns) == among


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("image/png", True),
        ("video/mp4", True),
        ("application/pdf", True),
        ("text/plain; charset=utf-8", True),
        ("image/svg+xml", False),
        ("text/html", False),
        ("text/xml", False),
        ("application/xhtml+xml", False),
        ("application/json", False),
    ],
)
def test_a_browser_shows_by_itself_what_runs_no_scripts(kind: str, shown: bool) -> None:
    assert is_shown(kind) == shown
    assert disposition(kind, "ü b.x").startswith("inline" if shown else "attachment")
    assert disposition(kind, "ü b.x").endswith("; filename*=UTF-8''%C3%BC%20b.x")


@pytest.mark.parametrize(
    "wrong", [{"types": ["image"]}, {"types": "image/*"}, {"types": ["*/png"]}, {"public_url": "/x"}]
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError), match="expected"):
        Uploads(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_a_signature_is_of_all_its_facts_and_of_its_secret() -> None:
    facts = ("upload", "name", 17, "ann", 1)
    signature = Signer(b"secret").sign(*facts)

    assert Signer(b"secret").agrees(signature, *facts)
    assert not Signer(b"secrets").agrees(signature, *facts)
    for index in range(len(facts)):
        assert not Signer(b"secret").agrees(signature, *facts[:index], "other", *facts[index + 1 :])
    assert not Signer(b"secret").agrees(signature, "upload", "name17", "ann", 1)
    assert not Signer(b"secret").agrees(signature, *facts[:3], None, 1)
    assert not any(Signer(b"secret").agrees(wrong, *facts) for wrong in ("", signature[:-1], signature + "=", "é"))


@pytest.mark.parametrize(
    ("around", "named"),
    [
        ("http://127.0.0.1:8000/v1/files/{}", True),
        ("https://bees.example/api/attachments/{}?expires=1", True),
        ("/attachments/{}#x", True),
        ("http://127.0.0.1/attachments/{}/data", False),
        ("http://127.0.0.1/attachments/x{}", False),
        ("http://[{}", False),
        ("data:text/plain,{}", False),
        ("", False),
    ],
)
def test_a_url_of_ours_has_a_name_in_it(around: str, named: bool) -> None:
    name = fresh_name("Blüten.png")

    assert name_in(around.format(quote(name))) == (name if named else None)
