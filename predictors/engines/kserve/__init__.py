"""Forwards V2 to another predictor. On the edge it is `<x>-uplink`, the near side of the cloud."""

from predictors.engines.kserve.engine import KServeEngine
from predictors.engines.kserve.settings import KServeSettings

__all__ = ["KServeEngine", "KServeSettings"]
