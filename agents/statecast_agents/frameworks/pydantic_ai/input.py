"""Convert a page's messages and tools for Pydantic AI.

Parts that a model cannot read, such as data parts and images without a type, are omitted. Files at a URL are passed on
as URLs. Pydantic AI downloads them only for providers that cannot, and never from private addresses.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from pydantic_ai import ToolDefinition
from pydantic_ai.messages import AudioUrl, BinaryContent, DocumentUrl, ImageUrl, UserContent, VideoUrl
from pydantic_ai.toolsets import ExternalToolset

from statecast_agents.frameworks.adapter import tools
from statecast_agents.frameworks.adapter.conversation import File, files
from statecast_agents.message import Message
from statecast_agents.values import Json

__all__ = ["page_tools", "user_content"]

#: What a file at a URL is, by the first half of its type; any other is a document.
_KINDS: Final[Mapping[str, type[ImageUrl | AudioUrl | VideoUrl]]] = {
    "image": ImageUrl,
    "audio": AudioUrl,
    "video": VideoUrl,
}


def user_content(parts: Sequence[Json]) -> str | list[UserContent]:
    """Return the parts of a user's message as a prompt: a text if that is all there is, else a list.

    Args:
        parts: Texts, images and files, in the form of a message's parts.
    """
    found = [content for part in files(Message({"parts": [*parts]})) if (content := _content(part)) is not None]
    if all(isinstance(content, str) for content in found):
        return "\n".join(content for content in found if isinstance(content, str))
    return found


def page_tools(declared: Mapping[str, Json]) -> ExternalToolset[Any] | None:
    """Return the tools of a page as a toolset whose calls the page answers; None if there are none.

    Args:
        declared: Name → `{"description"?, "parameters"?: JSON Schema}`, as in `run.request.tools`.
    """
    definitions = [
        ToolDefinition(name=one.name, description=one.description, parameters_json_schema=one.parameters)
        for one in tools.page_tools(declared)
    ]
    return ExternalToolset(definitions, id="page") if definitions else None


def _content(part: str | File) -> UserContent | None:
    if isinstance(part, str):
        return part
    exact = None if part.mime_type.endswith("/*") else part.mime_type
    if part.data is not None:
        try:
            data = base64.b64decode(unquote_to_bytes(part.data), validate=True)
        except (binascii.Error, ValueError):
            return None
        return BinaryContent(data, media_type=part.mime_type) if exact else None
    if not part.url.startswith(("http://", "https://")):
        return None
    kind: type[ImageUrl | AudioUrl | VideoUrl | DocumentUrl] = _KINDS.get(part.mime_type.partition("/")[0], DocumentUrl)
    return kind(url=part.url, media_type=exact)
