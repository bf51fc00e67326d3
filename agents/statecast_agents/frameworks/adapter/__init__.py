"""The building blocks of adapters: turns, inputs, foreign work, explained errors, tools, and model conversations."""
