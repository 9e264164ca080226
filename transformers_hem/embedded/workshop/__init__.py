"""What trained the shipped routers. It is not installed, and nothing that is imports it."""
