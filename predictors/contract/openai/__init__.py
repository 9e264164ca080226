"""OpenAI's API: chats and completions as queries, answers as its objects and events.

fields     those that only some engines take
requests   bodies to queries; what an engine doesn't take is refused by its field's name
messages   the conversation in a chat request
responses  answers, and answers that come bit by bit, as OpenAI's objects
description  of both in a server's OpenAPI page
errors     error bodies as OpenAI's clients read them

Types of answers are the `openai` package's own. The routes are in predictors/serving.
"""
