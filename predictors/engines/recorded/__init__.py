"""Answers from a file of recorded ones: a model that can't run here, replayed."""

from predictors.engines.recorded.engine import RecordedEngine

__all__ = ["RecordedEngine"]
