"""The paths of the OpenAPI document that are about attachments."""

from __future__ import annotations

from typing import Any, Final

from .components import TEXT, empty, file, json_content, path_id, post, query, responses

__all__ = ["attachment_paths", "cloud_file_paths"]

_NAME: Final = path_id("name")
_BYTES: Final = "*/*"


def attachment_paths() -> dict[str, Any]:
    """Return the paths below `/attachments`."""
    taken = {
        "type": "object",
        "properties": {"id": TEXT, "url": TEXT, "name": TEXT, "contentType": TEXT, "size": {"type": "integer"}},
    }
    upload = _upload("Upload a file", taken, [query("name")])
    upload["responses"]["201"] = upload["responses"].pop("200")
    return {
        "/attachments": {"post": upload},
        "/attachments/{name}": {"get": _download(), "delete": empty("Delete a file of one's own", [_NAME])},
    }


def cloud_file_paths() -> dict[str, Any]:
    """Return the paths below `/v1/files`."""
    signed = {"signedUrl": TEXT, "expiresAt": TEXT, "key": TEXT}
    named = {"type": "object", "properties": {"filename": TEXT}, "required": ["filename"]}
    up = {"type": "object", "properties": {"success": {"type": "boolean"}, "publicUrl": TEXT, **signed}}
    known = {"type": "object", "properties": {"key": TEXT, "url": TEXT}}
    down = {"type": "object", "properties": signed}
    taken = {
        "type": "object",
        "properties": {"key": TEXT, "publicUrl": TEXT, "contentType": TEXT, "size": {"type": "integer"}},
    }
    signature = [query("expires", {"type": "integer"}), query("owner"), query("signature")]
    signing = "/v1/files/attachments/generate-presigned"
    return {
        f"{signing}-upload-url": {"post": post("A URL to upload a file to", named, json_content(up))},
        f"{signing}-download-url": {"post": post("A URL of a file of one's own", known, json_content(down))},
        "/v1/files/uploads/{name}": {"put": _upload("Upload a file to a signed URL", taken, [_NAME, *signature])},
        "/v1/files/{name}": {"get": _download()},
    }


def _upload(summary: str, taken: dict[str, Any], parameters: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "summary": summary,
        "parameters": parameters,
        "requestBody": {"required": True, "content": {_BYTES: {}}},
        "responses": responses(json_content(taken)),
    }


def _download() -> dict[str, Any]:
    operation = {**file("A file", _BYTES), "parameters": [_NAME]}
    operation["responses"] |= {
        "200": {"description": "OK", "content": {_BYTES: {}}},
        "206": {"description": "The range that was asked for", "content": {_BYTES: {}}},
        "302": {"description": "It is elsewhere"},
    }
    return operation
