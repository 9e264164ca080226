"""Trained routers, one folder each: its score, its files on disk, its learner."""
