"""Any model that vLLM runs, in its own processes beside this one.

settings     options, and what of vLLM's engine arguments they are
loading      options -> a started engine, or one clear error
failures     what a process of vLLM's said before it died
sampling     our parameters -> vLLM's
answers      vLLM's output -> text and telemetry
engine       the Engine: queries in, answers out

Nothing here but `loading` and what it starts needs vLLM to be imported.
"""
