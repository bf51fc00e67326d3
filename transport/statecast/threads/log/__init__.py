"""The log of a thread: its state and entries, the readers that follow it, and the journal that stores it."""
