"""ADK's session over `run.memory`: its events, from which its state follows.

Each event is a separate value, so a turn costs only what it adds. Edits revert the memory, and with it the session.
"""

from __future__ import annotations

from typing import Any, Final

from google.adk.events import Event
from google.adk.sessions import BaseSessionService, Session
from google.adk.sessions.base_session_service import GetSessionConfig, ListSessionsResponse

from statecast_agents.memory import Memory

__all__ = ["MemorySessionService"]

_PREFIX: Final = "google-adk:event:"


class MemorySessionService(BaseSessionService):
    """The session of one thread, for one run.

    Args:
        memory: The thread's.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def create_session(
        self, *, app_name: str, user_id: str, state: dict[str, Any] | None = None, session_id: str | None = None
    ) -> Session:
        return self._session(app_name, user_id, session_id or "", [])

    async def get_session(
        self, *, app_name: str, user_id: str, session_id: str, config: GetSessionConfig | None = None
    ) -> Session:
        events = [Event.model_validate_json(self._memory[name]) for name in self._names()]
        session = self._session(app_name, user_id, session_id, events)
        for event in events:
            self._update_session_state(session, event)
        if config is not None and config.num_recent_events is not None:
            session.events = events[max(len(events) - config.num_recent_events, 0) :]
        if config is not None and config.after_timestamp is not None:
            session.events = [event for event in session.events if event.timestamp >= config.after_timestamp]
        return session

    async def list_sessions(self, *, app_name: str, user_id: str | None = None) -> ListSessionsResponse:
        return ListSessionsResponse()

    async def delete_session(self, *, app_name: str, user_id: str, session_id: str) -> None:
        for name in self._names():
            del self._memory[name]

    async def append_event(self, session: Session, event: Event) -> Event:
        event = await super().append_event(session, event)
        if not event.partial:
            names = self._names()
            number = int(names[-1].removeprefix(_PREFIX)) + 1 if names else 1
            encoded = event.model_dump_json(exclude_none=True, exclude_defaults=True)
            self._memory[f"{_PREFIX}{number:08}"] = encoded.encode()
            session.last_update_time = event.timestamp
        return event

    def cut(self, size: int) -> None:
        """Remove all events but the first `size`."""
        for name in self._names()[size:]:
            del self._memory[name]

    def _session(self, app_name: str, user_id: str, session_id: str, events: list[Event]) -> Session:
        last = events[-1].timestamp if events else 0.0
        return Session(app_name=app_name, user_id=user_id, id=session_id, events=events, last_update_time=last)

    def _names(self) -> list[str]:
        return sorted(name for name in self._memory if name.startswith(_PREFIX))
