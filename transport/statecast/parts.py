"""Message parts outside the state: the types behind `run.parts`."""

from statecast_agents import CallStream, Parts, Step, Timing, Usage, chunks

__all__ = ["CallStream", "Parts", "Step", "Timing", "Usage", "chunks"]
