"""OpenAI's API in front of a site: each chat is mined, and the answer of its side streams.

routes    the paths, and what a request goes through
site      the site's models by name, and where each is
sticky    conversations that stay at the cloud
first_answer  the edge's draft, for algorithms that mine it
designing what a strategy of self-design asks the cloud
relay     one answer passed on as it comes, with the decision in it
passing   its events on their way
served    who answers, why, and what it cost, as headers and JSON
attempt   one call of a model: who was asked, what it used, how it ended
account   what all calls for a request used and cost
events    server-sent events as bytes
keys      who may call
finished  what is told of a request that has ended, without its texts
page      the page at /ui, where it is on
cors      pages of other origins
build     a gateway from settings

It runs in the HEM server, beside V2, where HEM_EDGE_URL and HEM_CLOUD_URL are set.
"""
