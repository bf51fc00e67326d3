"""Subscriptions: one connection follows one thread, until it closes."""

from __future__ import annotations

from typing import Final

from statecast.protocol import Encoder, MessageEncoder
from statecast.threads import Hub, PastReader, Reader, Submission, Thread

from .throttle import ThrottledEncoder, ThrottledReader

__all__ = ["Subscription"]

#: The revision of a reader that has seen nothing.
BEFORE_ALL: Final = -1


class Subscription:
    """A reader that follows a thread, at the pace of its encoder, until `close`.

    Args:
        hub: The app's.
        accepted: The request that the stream answers, and where its stream starts.
        encoder: The protocol, for this stream.
        endless: Whether the stream goes on across runs; if not, it ends with the run that was accepted, or waits.
        whole: Whether every change is shown as the whole state again.
    """

    __slots__ = ("_accepted", "_encoder", "hub", "reader", "source")

    def __init__(
        self, hub: Hub, accepted: Submission, encoder: Encoder, *, endless: bool = False, whole: bool = False
    ) -> None:
        self.hub = hub
        self._accepted = accepted
        self._encoder = encoder
        self.reader: Reader = accepted.thread.follow(
            encoder,
            revision=accepted.revision,
            snapshot=accepted.snapshot,
            until=None if accepted.run is None else accepted.run_id,
            endless=endless,
            whole=whole,
        )
        hub.follow(accepted.thread, accepted.run)
        #: what to read from: an encoder that holds changes back is asked for them only so often
        self.source: Reader | ThrottledReader | PastReader = self.reader
        if encoder.shared is None and isinstance(encoder, ThrottledEncoder):  # what is shared is not held back
            self.source = ThrottledReader(self.reader, encoder, 1 / hub.limits.state_frames)

    @classmethod
    def to_thread(
        cls, hub: Hub, thread: Thread, encoder: Encoder, revision: int | None, *, whole: bool = False
    ) -> Subscription:
        """Follow a thread across its runs, from a revision on; None: from a snapshot on."""
        place = Submission(thread=thread, run=None, run_id=None, revision=revision or 0, snapshot=revision is None)
        return cls(hub, place, encoder, endless=True, whole=whole)

    @classmethod
    def from_start(cls, hub: Hub, thread: Thread, encoder: Encoder) -> Subscription:
        """Follow a thread across its runs, from the first revision that is known on."""
        subscription = cls.to_thread(hub, thread, encoder, BEFORE_ALL)
        reader = subscription.reader
        subscription.source = PastReader(hub.past, thread, reader, encoder, send_bytes=hub.limits.send_bytes)
        return subscription

    @property
    def cut(self) -> bool:
        """Whether the response is to be left incomplete, because nothing else would tell its client of a failure."""
        return isinstance(self._encoder, MessageEncoder) and self._encoder.cut

    def close(self, *, disconnected: bool = False) -> None:
        """Stop following; `disconnected`: the client was lost before the end, which may stop its run."""
        self._accepted.thread.leave(self.reader)
        if disconnected:
            self.hub.disconnected(self._accepted)
