"""Traces by OpenTelemetry, where its SDK is installed (the extra `telemetry`) and OTEL_* asks for
them; else nothing of it is imported, and an incoming `traceparent` goes on as it came.

spans      what the rest of the code uses: spans that do nothing as long as tracing is off
genai      a call of a model, in the names of OpenTelemetry's GenAI conventions
settings   what the environment asks for
recording  the spans of the SDK: the one file that imports it

A span has names and numbers, never the text of a query, an answer or an error.
"""
