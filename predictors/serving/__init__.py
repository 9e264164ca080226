"""One kserve model as a server: limits in front of it, error bodies, logs, and a predictor's model.

server       runs any kserve model of ours: ports, error bodies, quiet logs
life         from the start to the end of a server: its model, its two protocols, signals
dataplane    what probes are told; nobody loads or unloads a model
connection   bounds of one HTTP connection, for the local router too
grpc_server  the gRPC server and its bounds
middleware   before kserve's routes: body limit, valid JSON, cancellation when the client leaves
body         a body as kserve's routes take it: inflated, JSON whatever its type says
byte_gate    before all of that: how many bytes the calls in flight may hold together
direct       paths that are answered in front of the app's routes
openai_paths the paths of OpenAI's API, which predictors and the gateway share
openai_routes  that API of a predictor
choices      the choices of one such request, as they come
event_stream an answer as server-sent events, and what is sent where it breaks off
model        the predictor's kserve model, in front of one engine
settings     what every predictor has, whichever its engine
command      how a server's command line ends: one line and exit status 2

The HEM transformer runs on `server`, too. Engines and the cache don't import this room.
"""
