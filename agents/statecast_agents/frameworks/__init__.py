"""Adapters for agent frameworks, one folder or file each; `adapter` contains their shared code.

A framework is imported on first use.
"""
