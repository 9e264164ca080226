"""The one room from which another server is called, whoever calls and whatever it speaks.

client      the pooled HTTP client, and what a failed connection means
body        an answer of bounded size
call        one call: queue, deadline, retries, circuit breaker
breaker     the circuit breaker
http        JSON over HTTP by such calls
redaction   keys are struck out of what a server answers
limits      how long a call may take in all
"""
