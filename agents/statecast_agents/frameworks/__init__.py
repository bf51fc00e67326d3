"""Adapters for agent frameworks, a folder or a file each; `adapter` has what they have in common.

A framework is imported on first use.
"""
