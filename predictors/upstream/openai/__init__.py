"""What OpenAI-compatible servers take and answer; predictors.upstream.http carries it.

endpoint   settings: where the key goes, the names of fields
bodies     the two APIs, chat and completions, and a query as a request
client     asks, and asks again in the fields that the model takes
refusals   what an error of the server is about
answer     a response, whole or as an event stream, as an Answer
events     the events of a stream
choice     what is in a choice: text, end, refusal, error
logprobs   telemetry from the log-probabilities of tokens
signals    the same of an answer's first tokens, as they come, and of all of them
"""
