"""Why a request that concerns a thread is refused, where more than one place finds it out."""

from __future__ import annotations

from statecast.protocol.errors import RequestError, StoreAway, ThreadDamaged, UnknownThread

__all__ = ["damaged", "unavailable", "unknown_thread"]


def unknown_thread(thread_id: str) -> RequestError:
    """Return that nothing is known of a thread: it never was, it was deleted, or it is another owner's."""
    message = f'expected the id of a thread, got "{thread_id[:128]}", which this server does not know'
    return UnknownThread(message)


def unavailable() -> RequestError:
    """Return why nothing can be accepted while the store is away."""
    return StoreAway()


def damaged(thread_id: str) -> RequestError:
    """Return that a thread cannot be used, though the store works."""
    message = (
        f'the thread "{thread_id[:128]}" cannot be stored or read; the reason is in the server\'s log. '
        "Delete it, or go on in another thread"
    )
    return ThreadDamaged(message)
