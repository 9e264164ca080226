"""From labelled traffic to a threshold and its promise, and whether the promise still holds."""
