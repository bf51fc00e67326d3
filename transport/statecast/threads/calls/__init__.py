"""Calls: what clients do to a thread. The process that holds the thread performs them, whichever process they reach."""
