"""The HEM transformer as a server: it mines a query or an answer, and says where the request goes.

transformer        the two kserve models, one for each mining mode, and their metrics
self_design        the one of the mode self-design, where a strategy asks the cloud
build              which of them, from settings
decision           scores, guards and the caller's wish become a route: `score > threshold` is here
clients            who calls, for guards that count by client
designs            the strategy of the mode self-design, from settings
answer_batch       the edge model's V2 response as an answer-stage algorithm sees it
settings           HEM_* from the environment, and the Decider that they make
misfits            settings that don't fit the algorithm or the strategy that they name
modes              what MINING_MODE may be
thresholds         which threshold is in force, where several places may say one
warnings           what is said at the start of a router that may not suit a server
predictor_client   calls the edge predictor behind the answer stage; ready when that is ready
samples            asks that predictor for more answers to the same query

Other algorithms, routers and guards have rooms of their own; nothing in this one changes for them.
"""
