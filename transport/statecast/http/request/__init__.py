"""What is read from a request: its body, its fields, who sends it, and from where."""
