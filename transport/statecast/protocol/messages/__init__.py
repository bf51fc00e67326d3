"""What message protocols share: a conversation becomes commands, and the log becomes the growth of messages."""
