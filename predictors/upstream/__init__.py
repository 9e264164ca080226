"""The one room from which another server is called, whoever calls and whatever it speaks.

client      the one builder of HTTP clients
connector   their connections: how long one may take, and who is told of what comes on it
connection_failures  what a connection that could not be made, or broke, means
arrival     what has come of an answer; light, so that attempt can tell it
attempt     one request: a bounded answer, read; what a refusal means and what its body says
redaction   keys are struck out of what a server answers
ask         V2 text questions by one attempt each, for clients: `hem ask`, evaluation, labels
settings    limits of calls (how long, how often, how many, how large), TLS, proxy, headers
limits      how long a call may take in all, for who only reckons with it
call        one call: queue, deadline, retries
ledger/     the egress ledger: each attempt is a line before it leaves, and a line after
traffic     bytes to and from each server, for a metric
breaker     while a server is down, nobody asks it
watch       all calls that wait: a server that freezes or drips is given up
probe       whether a server would answer, asked without a query
parts       an answer that is read while it comes
http        JSON over HTTP by such calls
json_body   JSON as servers write it
timed       a server under measurement: cheap POSTs with their times and bytes, one attempt each
proxies     which calls go through the environment's proxy
v2          a V2 model by such calls, text and tensors; v2_rest and v2_grpc carry it
openai/     the bodies and event streams of OpenAI-compatible servers

Why a call failed is a Cause, and predictors.errors.CAUSES says what follows, for every transport:
add a cause there, and nowhere a second table. client, connector, connection_failures, arrival,
attempt, redaction, proxies, json_body, ask and limits are light: they must not import pydantic,
numpy, tenacity or prometheus_client. Nothing here imports an engine.
"""
