"""What is sent: streams, answers, files, errors."""
