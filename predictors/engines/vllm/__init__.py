"""Any model that vLLM runs, in its own processes beside this one.

engine       the Engine: queries in, answers out
settings     its options
loading      options -> a started vLLM, or one clear error
scheduling   what vLLM's own process is to do beside: clean cache for each query
failures     why a process of vLLM's has died
parameters   a query's sampling and options -> vLLM's
generation   one query through vLLM: its answer as it comes, or its error
written      the parts of an answer, and the whole with telemetry

All but settings and failures import vLLM; the engine imports them when it starts.
"""
