"""The counting predictor that tries a file which it couldn't open again at each request."""

from predictors.__main__ import main
from predictors.cache import disk
from predictors.engines import ENGINES
from predictors.serving.command import run

if __name__ == "__main__":
    disk.DiskStore.__init__.__defaults__ = (0.0,)
    ENGINES.register("counting", "tests.predictors.cache.counting:CountingEngine")
    run(main)
