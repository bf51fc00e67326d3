"""Threads that another process holds: mirrors of them, which readers follow, and calls to that process."""
