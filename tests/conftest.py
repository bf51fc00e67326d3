"""What holds for all tests."""

from __future__ import annotations

import signal

from hypothesis import settings

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("statecast", deadline=None)
settings.load_profile("statecast")

# A shell that starts a command in the background may ignore SIGINT for it. The programs that tests start would inherit
# that, and no Ctrl-C would end them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
