"""One kserve model as a server: limits in front of it, error bodies, logs, and a predictor's model.

server       runs any kserve model of ours: ports, error bodies, quiet logs
middleware   before kserve's routes: body limit, valid JSON, cancellation when the client leaves
byte_gate    before all of that: how many bytes the calls in flight may hold together
model        the predictor's kserve model, in front of one engine
settings     what every predictor has, whichever its engine
command      how a server's command line ends: one line and exit status 2

The HEM transformer runs on `server`, too. Engines and the cache don't import this room.
"""
