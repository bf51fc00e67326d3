"""Counts what the JSON decoders and encoders of the program are given."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

__all__ = ["Counts", "counting_json"]


class Counts:
    """How often JSON text that contains `mark` was decoded, and made."""

    def __init__(self, mark: bytes) -> None:
        self.mark = mark
        self.decoded = 0
        self.encoded = 0

    def decoder(self, decode: Callable[..., Any]) -> Callable[..., Any]:
        """Return `decode`, counted."""

        def counted(data: Any, *args: Any, **more: Any) -> Any:
            self.decoded += self.mark in (data.encode() if isinstance(data, str) else bytes(data))
            return decode(data, *args, **more)

        return counted

    def encoder(self, encode: Callable[..., bytes]) -> Callable[..., bytes]:
        """Return `encode`, counted."""

        def counted(value: Any, *args: Any, **more: Any) -> bytes:
            text = encode(value, *args, **more)
            self.encoded += self.mark in text
            return text

        return counted


class _Counted:
    """A decoder or an encoder, counted."""

    def __init__(self, counts: Counts, inner: Any) -> None:
        self._inner = inner
        if isinstance(inner, msgspec.json.Decoder):
            self.decode = counts.decoder(inner.decode)
        else:
            self.encode = counts.encoder(inner.encode)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@contextmanager
def counting_json(mark: bytes) -> Iterator[Counts]:
    """Count, in every module of the program: its calls of `msgspec.json`, and the coders that it holds."""
    counts = Counts(mark)
    coders = (msgspec.json.Decoder, msgspec.json.Encoder)
    with pytest.MonkeyPatch.context() as patch:
        for module in [module for name, module in sys.modules.items() if name.split(".")[0].startswith("statecast")]:
            for name, value in list(vars(module).items()):
                if isinstance(value, coders):
                    patch.setattr(module, name, _Counted(counts, value))
                elif isinstance(owner := getattr(value, "__self__", None), coders):
                    wrap = counts.decoder if isinstance(owner, msgspec.json.Decoder) else counts.encoder
                    patch.setattr(module, name, wrap(value))
        patch.setattr(msgspec.json, "decode", counts.decoder(msgspec.json.decode))
        patch.setattr(msgspec.json, "encode", counts.encoder(msgspec.json.encode))
        yield counts
