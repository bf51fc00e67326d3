"""The content of a request besides its commands and its state: the page's settings for the model, and its tools."""

from __future__ import annotations

from typing import Any

import msgspec

from .values import Json

__all__ = ["CallSettings", "Config", "Request"]


class CallSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The page's settings for the model call."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = msgspec.field(name="topP", default=None)
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None


class Config(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The model that the page asks for. `repr` never shows the key, and nothing stores it."""

    api_key: str | None = None
    base_url: str | None = None  #: None unless the agent was made with `accept_base_url=True`
    model_name: str | None = None

    def __repr__(self) -> str:
        return f"Config({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    __str__ = __repr__

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        key = None if self.api_key is None else "…"
        return [("api_key", key), ("base_url", self.base_url), ("model_name", self.model_name)]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a request, without its commands and its state."""

    system: str | None = None
    tools: dict[str, Json] = {}  #: the frontend's tools: name → `{"description"?, "parameters": JSON Schema}`
    call_settings: CallSettings = CallSettings()
    config: Config = Config()
    parent_id: str | None = None
    extra: dict[str, Json] = {}  #: every other field of the body, as the app's own code in the page added it
