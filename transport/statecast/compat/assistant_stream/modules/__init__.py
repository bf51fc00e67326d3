"""What adds the events of other libraries to a state."""
