"""What adapters are made of: turns, inputs, foreign work, explained errors, tools, and the conversation to send on."""
