"""Answers from a file of recorded ones: a model that can't run here, replayed.

recordings   the file: its rows, checked
pace         the parts of a stream, and when each comes
engine       the Engine: looks an answer up
"""

from predictors.engines.recorded.engine import RecordedEngine

__all__ = ["RecordedEngine"]
