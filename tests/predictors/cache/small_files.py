"""The counting predictor where no file may grow beyond 64 KiB, as on a disk that is full."""

import resource

from predictors.__main__ import main
from predictors.engines import ENGINES
from predictors.serving.command import run

LIMIT = 64 * 1024

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
    ENGINES.register("counting", "tests.predictors.cache.counting:CountingEngine")
    run(main)
