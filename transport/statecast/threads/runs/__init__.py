"""One run: its batch, its tasks, what it waits for, and how it ends."""
