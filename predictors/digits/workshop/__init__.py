"""What made the digit classifiers. It is not installed, and nothing that is imports it."""
