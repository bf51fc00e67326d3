"""Messages that clients wrote into a history: their formats, and the tree that they make with the state. Pure."""
