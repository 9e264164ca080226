"""What trained the shipped routers: train.py. It is not installed."""
