"""The contract of a wire: a message protocol, from its requests to its errors.

A wire reads a request into a conversation, and names the encoder that writes the answer. One endpoint runs all wires:
it reads the body within the limits, checks it, identifies the caller, accepts what is new, follows the run, and ends
the response. A wire knows no socket and no clock; what it remembers, it remembers for one app.
To add one: docs/guides/add-a-protocol.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Generic, Literal, TypeVar

import msgspec

from statecast.protocol.errors import ErrorForm, RequestError, plain_form

from .conversation import Conversation
from .encoder import MessageEncoder
from .projection import Projection

__all__ = ["AgentName", "Delivery", "Description", "Exchange", "Opening", "ThreadView", "Wire", "WireRequest"]

#: How to send an answer: `stream`, at once; `held`, as soon as there is something to send, so that a run that fails
#: before that gets the status of an error; `whole`, in one piece at the end, or an error instead.
Delivery = Literal["stream", "held", "whole"]


class AgentName(msgspec.Struct):
    """The type, in a `Description`, of the name of an agent; the OpenAPI document lists those of the app."""


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What the OpenAPI document says of a wire's requests and answers. Types are any that msgspec knows."""

    summary: str = "Send messages, get the answer"
    body: Any = dict[str, Any]  #: the type of the JSON that it reads
    query: Mapping[str, Any] = msgspec.field(default_factory=lambda: {"agent": AgentName})  #: types of parameters
    media: Mapping[str, str] = {}  #: what an answer holds, by each media type that it may have
    reply: Any = None  #: the type of an answer in JSON, where it may be that


class WireRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as a wire reads it."""

    body: bytes  #: JSON text, within the app's limits; what is in the fields of `Wire.claims` is unchecked
    query: Mapping[str, str]
    headers: Mapping[str, str]  #: by name, in any case


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was read, and how to send its answer. Subclasses add what the encoder needs of it."""

    conversation: Conversation
    delivery: Delivery = "stream"


class ThreadView(msgspec.Struct, frozen=True, kw_only=True):
    """What a wire sees of a thread."""

    owner: str | None
    id: str
    epoch: str  #: names the thread's log: another thread of the same id has another one
    active: str | None  #: the run that is under way
    waits: bool  #: whether that run, or the thread without one, waits for its user
    pending: Sequence[str] | None  #: where in the state the open questions are


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """Where an answer begins."""

    projection: Projection
    thread: ThreadView | None  #: None: the client joins a thread that does not exist
    agent: str
    run_id: str | None  #: the run that answers
    follows: bool  #: whether that run has yet to end; if not, the stream shows only what exists
    at: int  #: seconds since 1970


E = TypeVar("E", bound=Exchange)


class Wire(ABC, Generic[E]):
    """A message protocol. One is made for each app."""

    path: ClassVar[str]  #: of the `POST` requests that it reads
    description: ClassVar[Description] = Description()  #: for the OpenAPI document
    #: of the `GET` requests, with `{thread_id}` in it, by which a client joins the run that it lost; see `join`
    stream_path: ClassVar[str | None] = None
    #: the fields of a body whose values are claims about the past, of which `read` checks only what it uses
    claims: ClassVar[Collection[str]] = ("messages",)
    projection: ClassVar[type[Projection]] = Projection  #: the class of `Opening.projection`
    #: whether a lost connection cancels the run of a request without a thread id, since nobody can come back to it
    cancels_unnamed: ClassVar[bool] = False
    #: whether a request without messages may name a thread that does not exist; if not, the error is `unknown_thread`
    joins_unknown: ClassVar[bool] = False
    #: whether an API key of the cloud API may come without a user
    key_alone: ClassVar[bool] = False

    @abstractmethod
    def read(self, request: WireRequest) -> E:
        """Read a request. It may be called in another thread.

        Raises:
            RequestError: Why it cannot be read.
        """

    @abstractmethod
    def encoder(self, exchange: E, opening: Opening) -> MessageEncoder:
        """Return the encoder of an answer."""

    def join(self, thread_id: str, query: Mapping[str, str]) -> E:
        """Read a `GET` request of `stream_path`.

        Raises:
            RequestError: Why it cannot be read.
        """
        raise NotImplementedError(f"{type(self).__name__} has a stream_path, and so needs a join")

    def located(self, exchange: E, thread: ThreadView) -> E:
        """Return the exchange with what this wire knows of its thread. Called only if the thread exists."""
        return exchange

    def error(self, error: RequestError) -> ErrorForm:
        """Return what the response to a refused request says."""
        return plain_form(error)
