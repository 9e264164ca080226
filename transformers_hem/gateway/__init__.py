"""OpenAI's API in front of a site: each chat is mined, and the answer of its side streams.

routes    the paths, and what a request goes through
site      the site's models by name, and where each is
relay     one answer passed on as it comes, with the decision in it
events    server-sent events as bytes
keys      who may call
build     a gateway from settings

It runs in the HEM server, beside V2, where HEM_EDGE_URL and HEM_CLOUD_URL are set.
"""
