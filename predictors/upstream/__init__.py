"""The one room from which another server is called, whoever calls and whatever it speaks.

client      the one builder of HTTP clients, and what a failed connection means
attempt     one request: a bounded answer, read; what a refusal means and what its body says
redaction   keys are struck out of what a server answers
ask         V2 text questions by one attempt each, for clients: `hem ask`, evaluation, labels
settings    limits of calls (how long, how often, how many, how large), TLS, proxy, headers
limits      how long a call may take in all, for who only reckons with it
call        one call: queue, deadline, retries, circuit breaker
probe       whether a server would answer, asked without a query
http        JSON over HTTP by such calls
v2          a V2 model by such calls, text and tensors; v2_rest and v2_grpc carry it
openai/     the bodies and event streams of OpenAI-compatible servers

Why a call failed is a Cause, and predictors.errors.CAUSES says what follows, for every transport:
add a cause there, and nowhere a second table. client, attempt, redaction, ask and limits are light:
they must not import pydantic, numpy, tenacity, circuitbreaker or prometheus_client. Nothing here
imports an engine.
"""
