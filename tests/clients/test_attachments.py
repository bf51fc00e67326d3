"""The published adapter of the cloud's client uploads, wherever files are kept, and a browser shows them."""

from __future__ import annotations

import base64
import struct
from pathlib import Path
from typing import Any

import httpx
import pytest

from statecast import Agent, create_app
from statecast.files import Uploads
from tests.clients.attachments import attach
from tests.clients.node import ScenarioFailed, need_chromium, run_browser
from tests.clients.serving import served
from tests.transport.file_places import placed

PICTURE = {"name": "bees & honey.png", "type": "image/png", "text": "not really"}
NOTES = {"name": "Blüten.md", "type": "", "text": "# Bees"}
PROGRAM = {"name": "bees.exe", "type": "application/x-msdownload", "text": "MZ"}


@pytest.mark.parametrize("kind", ["memory", "folder", "s3"])
def test_the_adapter_uploads_and_sends_what_everyone_can_load(kind: str, tmp_path: Path) -> None:
    with placed(kind, tmp_path) as files, served(create_app(Agent(), uploads=Uploads(where=files), cloud=True)) as url:
        picture, notes = attach(url, PICTURE, NOTES)
        loaded = [
            httpx.get(part.get("image") or part["data"], follow_redirects=True)
            for told in (picture, notes)
            for part in told["attachment"]["content"]
        ]

    assert [status["type"] for status in picture["statuses"]] == ["running", "requires-action"]
    assert picture["attachment"]["status"] == {"type": "complete"}
    assert [part["type"] for part in picture["attachment"]["content"]] == ["image"]
    assert [part["type"] for part in notes["attachment"]["content"]] == ["file"]
    assert [(answer.status_code, answer.text, answer.headers["content-type"]) for answer in loaded] == [
        (200, "not really", "image/png"),
        (200, "# Bees", "text/markdown"),
    ]


def test_the_adapter_shows_what_is_refused() -> None:
    uploads = Uploads(limit=300_000)
    with served(create_app(Agent(), uploads=uploads, cloud=True)) as url:
        program, large, picture = attach(url, PROGRAM, {**PICTURE, "times": 100_000}, PICTURE)

    assert "415" in program["statuses"][-1]["message"]
    assert "413" in large["statuses"][-1]["message"]
    assert picture["attachment"]["status"] == {"type": "complete"}


# In a browser


SHOWN = """async ({ api, name, type, data }) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const body = new File([bytes], name, { type });
  const headers = { "Content-Type": type };
  const { access_token } = await (await fetch(`${api}/v1/auth/tokens/anonymous`, { method: "POST" })).json();
  const asked = await fetch(`${api}/v1/files/attachments/generate-presigned-upload-url`, {
    method: "POST",
    headers: { Authorization: `Bearer ${access_token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ filename: name }),
  });
  const { signedUrl, publicUrl } = await asked.json();
  await fetch(signedUrl, { method: "PUT", headers, body });
  const posted = await fetch(`${api}/attachments?name=${name}`, { method: "POST", headers, body });
  const { url } = await posted.json();
  const sizes = [];
  for (const src of [publicUrl, url]) {
    const image = document.body.appendChild(new Image());
    image.src = src;
    await image.decode();
    sizes.push(image.naturalWidth);
  }
  const { status } = await fetch(url, { method: "DELETE" });
  return { sizes, status };
}"""

RED = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
CIRCLE = b'<svg xmlns="http://www.w3.org/2000/svg" width="7" height="7"><circle r="3"/></svg>'


@pytest.mark.parametrize("kind", ["memory", "folder", "s3"])
def test_a_page_from_elsewhere_uploads_shows_and_deletes(kind: str, tmp_path: Path) -> None:
    need_chromium()
    (tmp_path / "index.html").write_text('<!doctype html><link rel="icon" href="data:,"><title>Bees</title>')
    pictures = [("red.png", "image/png", RED), ("circle.svg", "image/svg+xml", base64.b64encode(CIRCLE).decode())]
    with placed(kind, tmp_path) as files, served(create_app(Agent(), page=tmp_path)) as page:
        app = create_app(Agent(), uploads=Uploads(where=files), cloud=True, cors_origins=[page])
        with served(app) as api:
            steps: list[Any] = [{"do": "goto", "url": page}]
            for name, media, data in pictures:
                argument = {"api": api, "name": name, "type": media, "data": data}
                steps.append({"do": "evaluate", "function": SHOWN, "argument": argument})
            report = run_browser(steps)

    shown = [step["value"] for step in report.steps[1:]]
    assert shown == [{"sizes": [1, 1], "status": 204}, {"sizes": [7, 7], "status": 204}]
    assert report.complaints == []
    assert {answer["method"] for answer in report.network} >= {"PUT", "POST", "GET", "DELETE"}


def test_a_window_of_its_own_shows_a_picture_and_plays_a_sound(tmp_path: Path) -> None:
    need_chromium()
    samples = b"\x80" * 8_000
    facts = (b"RIFF", 36 + len(samples), b"WAVEfmt ", 16, 1, 1, 8_000, 8_000, 1, 8, b"data", len(samples))
    head = struct.pack("<4sI8sIHHIIHH4sI", *facts)
    files = [("red.png", "image/png", base64.b64decode(RED)), ("bee.wav", "audio/wav", head + samples)]
    with served(create_app(Agent())) as api:
        for name, kind, data in files:
            answer = httpx.post(f"{api}/attachments?name={name}", content=data, headers={"content-type": kind})
            shot = {"do": "screenshot", "file": str(tmp_path / "seen.png")}
            report = run_browser([{"do": "goto", "url": answer.json()["url"]}, shot])

            assert (report.complaints, report.failures) == ([], []), name


@pytest.mark.parametrize(("name", "media"), [("a.svg", "image/svg+xml"), ("a.html", "text/html")])
def test_a_window_of_its_own_does_not_open_what_could_run_scripts(name: str, media: str) -> None:
    need_chromium()
    with served(create_app(Agent())) as api:
        answer = httpx.post(f"{api}/attachments?name={name}", content=CIRCLE, headers={"content-type": media})
        with pytest.raises(ScenarioFailed, match="Download is starting"):
            run_browser([{"do": "goto", "url": answer.json()["url"]}])
