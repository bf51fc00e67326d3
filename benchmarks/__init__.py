"""How fast Statecast is, beside limits that no server of this kind can beat: `python -m benchmarks`."""
