"""Sending responses: streams, answers, files, errors."""
