"""What made the embedded pair and its data. It is not installed, and nothing that is imports it."""
