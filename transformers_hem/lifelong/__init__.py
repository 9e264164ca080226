"""Learning from use: what came back becomes a challenger, which replaces the champion only where it
is proven better. Pure functions of rows; who stores rows and who switches routers is elsewhere.

- observations.py   one row of what came back, and all of them in columns
- outcomes.py       what the side that nobody saw would have done; doubly robust estimates
- trust.py          how far a client's feedback is believed
- disagreement.py   by how much a client disagrees with all others
- others.py         what all others say of a client's queries
- labelling.py      observations as the labels that learners take
- scorer.py         a router's scores of queries, each asked of it once
- windows.py        which rows are learned from, reserved for a promise, and judge
- drawing.py        which decided queries a threshold stands on, where no outcome is needed
- representing.py   how many queries a row that came back stands for
- contest.py        champion against challenger: APGR, and cost at equal quality
- recalibration.py  which pairs a threshold and its promise stand on
- drifting.py       whether today's queries are those that a threshold was chosen on
- watch.py          whether a promise that is served is broken, valid at every look
- challenge.py      one round of it

A change in contest.py, representing.py, recalibration.py, drawing.py or watch.py needs a proof, and
the tests that count errors.
"""
