"""Ownership: which threads of a shared store this process may write to."""
