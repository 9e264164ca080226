"""From labelled traffic to a threshold and its promise, and whether the promise still holds.

- config.py        what a router's config.json says of thresholds, promises and the scores' spread
- curve.py         what other thresholds would give
- sample.py        the rows of a calibration, scored as they would be served
- targets.py       what can be aimed at: a share at the edge, a quality loss, a budget
- quality_loss.py  the statistics behind the promise of a quality loss
- budget.py        the statistics behind the promise of a budget
- betting.py       intervals of means that hold at all times, however early somebody stops
- threshold_search.py  the same promise of a quality loss, while rows are still labelled
- calibrate.py     `hem calibrate`: a sample and a target give a promise, written into the router
- drift.py         whether live scores still look like those of the calibration

The formulas of a promise are fixed before any data is seen: a change in quality_loss.py,
budget.py, betting.py or threshold_search.py needs a proof, and the tests that draw promises.
config.json is a contract with routers that are out there: new fields need defaults.
"""
