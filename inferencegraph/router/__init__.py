"""Runs one InferenceGraph on this machine and answers as KServe's own router does.

app          `create_app`: a graph as an ASGI app; its limits, headers and errors
server       serves such an app, alone or beside others
spec         an InferenceGraph as KServe's router reads it, and the file that holds one
execution    the path of a request through nodes and steps
step         the call of one step's service
conditions   step conditions (gjson)
bodies       what Go makes of a body: is it JSON, which type has it, how is it written again

What is done here was recorded from KServe's router (cmd/router/main.go) and is held to that by
the conformance tests: where KServe surprises, this router does too. Graphs that could never work
are refused elsewhere, in `inferencegraph.check`.
"""
