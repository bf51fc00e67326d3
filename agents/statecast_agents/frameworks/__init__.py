"""Adapters for agent frameworks, one file each, and what they have in common. A framework is imported on first use."""
