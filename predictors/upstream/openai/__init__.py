"""What OpenAI-compatible servers take and answer; predictors.upstream.http carries it.

bodies     the two APIs, chat and completions, and a query as a request
answer     a response, whole or as an event stream, as an Answer
logprobs   telemetry from the log-probabilities of tokens
"""
