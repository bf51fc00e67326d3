"""Convert a page's messages and tools for Pydantic AI.

Parts that a model cannot read, such as data parts and files without a type, are left out. Files at a URL are passed on
as URLs: Pydantic AI downloads them only for providers that cannot, and never from private addresses.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

from pydantic_ai import ToolDefinition
from pydantic_ai.messages import AudioUrl, BinaryContent, DocumentUrl, ImageUrl, UserContent, VideoUrl
from pydantic_ai.toolsets import ExternalToolset

from statecast_agents.values import Json

__all__ = ["page_tools", "user_content"]


def user_content(parts: Sequence[Json]) -> str | list[UserContent]:
    """Return the parts of a user's message as a prompt: a text if that is all there is, else a list.

    Args:
        parts: Texts, images, files and audio, in the form of a message's parts.
    """
    found = [content for part in parts if isinstance(part, dict) and (content := _content(part)) is not None]
    if all(isinstance(content, str) for content in found):
        return "\n".join(content for content in found if isinstance(content, str))
    return found


def page_tools(tools: Mapping[str, Json]) -> ExternalToolset[Any] | None:
    """Return the tools of a page as a toolset whose calls the page answers; None if there are none.

    Args:
        tools: Name → `{"description"?, "parameters"?: JSON Schema}`, as in `run.request.tools`.
    """
    definitions = []
    for name, tool in tools.items():
        fields = tool if isinstance(tool, dict) else {}
        schema = fields.get("parameters")
        definitions.append(
            ToolDefinition(
                name=name,
                description=fields.get("description"),
                parameters_json_schema=schema if isinstance(schema, dict) else {"type": "object", "properties": {}},
            )
        )
    return ExternalToolset(definitions, id="page") if definitions else None


def _content(part: Mapping[str, Json]) -> UserContent | None:
    match part:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": "image", "image": str(address)}:
            return _file(address, "image/*")
        case {"type": "file", "data": str(data), "mimeType": str(media_type)}:
            return _file(data, media_type)
        case {"type": "audio", "audio": {"data": str(data), "format": str(format)}}:  # the field's name
            return _file(data, f"audio/{'mpeg' if format == 'mp3' else format}")
        case _:
            return None


def _file(data: str, media_type: str) -> UserContent | None:
    """Return a file as content.

    Args:
        data: A URL, a data URL, or base64.
        media_type: What the page says it is; a data URL's own type comes before it.
    """
    if data.startswith(("http://", "https://")):
        kinds: dict[str, type[ImageUrl | AudioUrl | VideoUrl | DocumentUrl]] = {
            "image": ImageUrl,
            "audio": AudioUrl,
            "video": VideoUrl,
        }
        exact = None if media_type.endswith("/*") else media_type
        return kinds.get(media_type.partition("/")[0], DocumentUrl)(url=data, media_type=exact)
    if data.startswith("data:"):
        head, _, data = data.removeprefix("data:").partition(",")
        media_type = head.partition(";")[0] or media_type
        if not head.endswith(";base64"):
            return BinaryContent(unquote_to_bytes(data), media_type=media_type)
    if media_type.endswith("/*"):
        return None
    try:
        return BinaryContent(base64.b64decode(unquote_to_bytes(data), validate=True), media_type=media_type)
    except (binascii.Error, ValueError):
        return None
