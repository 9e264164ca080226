"""Any model that vLLM runs, in its own processes beside this one.

engine       the Engine: queries in, answers out
settings     its options
loading      options -> a started vLLM, or one clear error
failures     why a process of vLLM's has died
generation   one query through vLLM, and its answer with telemetry

`loading` and `generation` import vLLM; the engine imports them when it starts.
"""
