"""What is stored beside the logs: summaries, aliases, messages that clients wrote, and the deletion of all of it."""
