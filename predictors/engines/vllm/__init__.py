"""Any model that vLLM runs, in its own processes beside this one.

settings     options
loading      options -> a started engine, or one clear error
failures     what a process of vLLM's said before it died
generation   one query through vLLM
answers      vLLM's output -> text and telemetry
engine       the Engine: queries in, answers out

`loading`, `generation` and `answers` import vLLM; the others don't.
"""
