"""How well, how fast and where a running graph answers."""
