"""The end of a process that was asked to stop: in time, whatever blocks.

A thread looks at the clock, since the event loop may stand still, and the interpreter waits for blocked threads for as
long as they take. What the store has by then is kept, as after any crash.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import sys
import threading
import time
from typing import Final

__all__ = ["Ending"]

#: Seconds that tasks and threads which nobody needs any more may hold up the end.
LAST: Final = 2.0

#: Seconds between two looks whether only threads are left.
LOOK: Final = 0.1

#: Seconds that writing the last output may take.
FLUSHING: Final = 0.5

_log: Final = logging.getLogger("statecast")


class Ending:
    """Ends the process if it does not end by itself.

    Args:
        seconds: That stopping may take, once it was asked for.
    """

    def __init__(self, seconds: float) -> None:
        self.asked = False  #: whether it was asked to stop
        self._seconds = seconds
        self._told: queue.SimpleQueue[tuple[float, int] | None] = queue.SimpleQueue()  # signal handlers may put to it
        threading.Thread(target=self._watch, name="statecast ending", daemon=True).start()

    def ask(self) -> None:
        """Count from now on."""
        if not self.asked:
            self.asked = True
            self._told.put((self._seconds, 1))

    def now(self, status: int) -> None:
        """End the process, with an exit status."""
        self._told.put((0.0, status))

    def served(self) -> None:
        """Note that everything is kept, and every stream ended."""
        if self.asked:
            self._told.put((LAST, 0))

    def over(self) -> None:
        """Note that the server's own code has ended; what follows is the caller's, and takes as long as it takes."""
        self._told.put(None)

    def _watch(self) -> None:
        told = self._told.get()
        while told is not None:
            seconds, status = told
            try:
                told = self._told.get(timeout=seconds)
            except queue.Empty:
                if status == 1:
                    _log.error("the server did not stop within %g seconds, and is ended", seconds)
                _end_process(status)
        if self.asked:
            while not _main_thread_waits():
                time.sleep(LOOK)
            if not _others_end():
                _end_process(0)


def _end_process(status: int) -> None:
    flushing = threading.Thread(target=_flush, daemon=True)
    flushing.start()
    flushing.join(FLUSHING)
    os._exit(status)


def _flush() -> None:
    with contextlib.suppress(OSError, ValueError):  # closed, or nobody reads any more
        sys.stdout.flush()
        sys.stderr.flush()


def _main_thread_waits() -> bool:
    """Return whether the main thread has done all that it had to, and the interpreter waits for the other threads."""
    main = threading.main_thread()
    frame = sys._current_frames().get(main.ident or 0)
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return not main.is_alive() or (frame is not None and frame.f_code.co_filename == threading.__file__)


def _others_end() -> bool:
    """Wait a little for the threads that the interpreter waits for, and return whether they have ended."""
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread() and not thread.daemon]
    for thread in others:
        thread.join(LAST / len(others))
    return not any(thread.is_alive() for thread in others)
