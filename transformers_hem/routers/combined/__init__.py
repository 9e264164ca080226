"""CombinedRouter: a linear router and the edge model's telemetry together, in the answer stage.

- score.py    the Algorithm; config.json and, in `query/`, the LinearRouter that it asks
- learner.py  what `hem train` runs
"""
