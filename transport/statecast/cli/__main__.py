"""`python -m statecast.cli`, as `Parent` starts its workers."""

import sys

from .commands import main

if __name__ == "__main__":
    sys.exit(main())
