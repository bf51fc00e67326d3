"""A batch: the commands and the request of one run, and their stored form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from statecast_agents import AddMessage, AddToolResult, Answer, Request
from statecast_agents.commands import AnyCommand, CommandSet, UntypedCommand

from .users import StoredUser, restored_user, stored_user

__all__ = ["Batch", "OnDisconnect", "says_instead"]

OnDisconnect = Literal["continue", "cancel"]


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """The commands and the request of one run. The stored form omits the client's API key."""

    commands: Sequence[AnyCommand]
    request: Request
    on_disconnect: OnDisconnect = "continue"
    next_up: bool = False  #: whether it goes before what waits already
    user: Any = None  #: whom it is for
    applied: bool = False  #: whether its commands are in the messages already, since an earlier run listened for them
    tries: int = 0  #: which try this is, if an earlier process accepted it
    trace: dict[str, str] = {}  #: headers of the request that name its trace

    @property
    def says_instead(self) -> bool:
        """Whether it has a message, and nothing that may answer a question."""
        return says_instead(self.commands)

    def encode(self) -> bytes:
        """Return the stored form."""
        request = self.request
        if request.config.api_key is not None:
            config = msgspec.structs.replace(request.config, api_key=None)
            request = msgspec.structs.replace(request, config=config)
        commands = [_fields(command) for command in self.commands]
        return msgspec.json.encode(
            _StoredBatch(
                commands,
                request,
                self.on_disconnect,
                self.next_up,
                stored_user(self.user),
                self.applied,
                self.tries,
                self.trace,
            )
        )

    def commands_json(self) -> bytes:
        """Return the commands as JSON."""
        return msgspec.json.encode([_fields(command) for command in self.commands])

    @classmethod
    def decode(cls, data: bytes, commands: CommandSet) -> Batch:
        """Read what `encode` wrote.

        Raises:
            CommandError: The agent does not know such commands any more.
        """
        stored = msgspec.json.decode(data, type=_StoredBatch)
        known = commands.decode([msgspec.json.encode(command) for command in stored.commands])
        return cls(
            commands=known,
            request=stored.request,
            on_disconnect=stored.on_disconnect,
            next_up=stored.next_up,
            user=restored_user(stored.user),
            applied=stored.applied,
            tries=stored.tries,
            trace=stored.trace,
        )


def says_instead(commands: Sequence[AnyCommand]) -> bool:
    """Return whether commands have a message, and nothing that may answer a question."""
    kinds = {type(command) for command in commands}
    return AddMessage in kinds and not kinds & {Answer, AddToolResult}


class _StoredBatch(msgspec.Struct, frozen=True):
    commands: list[Any]
    request: Request
    on_disconnect: OnDisconnect
    next_up: bool = False
    user: StoredUser | None = None
    applied: bool = False
    tries: int = 0
    trace: dict[str, str] = {}


def _fields(command: AnyCommand) -> dict[str, Any]:
    if isinstance(command, UntypedCommand):
        return {**command.body, "type": command.type, "id": command.id}
    fields: dict[str, Any] = msgspec.to_builtins(command)
    return fields
