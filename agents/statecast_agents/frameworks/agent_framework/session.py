"""The framework's session over `run.memory`.

Each run's messages are stored separately, so a turn costs only what it adds. Edits revert the memory, and with it the
session.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from agent_framework import AgentSession

from statecast_agents.run import Run

if TYPE_CHECKING:
    from agent_framework import Content, SupportsAgentRun

__all__ = ["StoredSession"]

_SESSION: Final = "agent-framework:session"
_MESSAGES: Final = "agent-framework:messages:"

#: Where the framework's own history has the messages, in the session's state.
_HISTORY: Final = "in_memory"


class StoredSession:
    """The session of a thread.

    Args:
        run: The run.
        agent: The framework's agent, which makes a session for a thread that has none.
    """

    def __init__(self, run: Run, agent: SupportsAgentRun) -> None:
        self._memory = run.memory
        self._stored: list[list[Any]] = []
        while (encoded := self._memory.get(_name(len(self._stored)))) is not None:
            self._stored.append(json.loads(encoded))
        encoded = self._memory.get(_SESSION)
        if encoded is None:
            self.session = agent.create_session(session_id=run.thread_id)
            return
        data = json.loads(encoded)
        if self._stored:
            messages = [message for stored in self._stored for message in stored]
            data["state"].setdefault(_HISTORY, {})["messages"] = messages
        self.session = AgentSession.from_dict(data)

    def drop_request(self, call_id: str) -> None:
        """Drop the request for the approval of a call from the messages: providers do not know what it is."""
        for message in self.session.state.get(_HISTORY, {}).get("messages", ()):
            message.contents = [content for content in message.contents if not _requests(content, call_id)]

    def save(self) -> None:
        """Store the session."""
        data = json.loads(json.dumps(self.session.to_dict(), default=str))
        messages = data["state"].get(_HISTORY, {}).pop("messages", [])
        same, start = 0, 0
        for stored in self._stored:
            if messages[start : start + len(stored)] != stored:
                break
            same, start = same + 1, start + len(stored)
        for place in range(same, len(self._stored)):
            self._memory.pop(_name(place), None)
        if start < len(messages):
            self._memory[_name(same)] = json.dumps(messages[start:]).encode()
        self._memory[_SESSION] = json.dumps(data).encode()


def _requests(content: Content, call_id: str) -> bool:
    function = content.function_call if content.type == "function_approval_request" else None
    return function is not None and function.call_id == call_id


def _name(place: int) -> str:
    return f"{_MESSAGES}{place}"
