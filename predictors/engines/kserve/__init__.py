"""Forwards V2 to another predictor. On the edge it is `<x>-uplink`, the near side of the cloud.

engine   the settings and the engine; the wire is predictors.upstream.v2
"""

from predictors.engines.kserve.engine import KServeEngine, KServeSettings

__all__ = ["KServeEngine", "KServeSettings"]
