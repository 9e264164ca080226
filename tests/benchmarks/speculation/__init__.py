"""Parts of the benchmarks of speculative decoding, `bench_speculative_*.py`.

link      a TCP proxy that delays each direction, as a network of some length would
shapes    models of random weights, for what a model costs and not for what it says
cloud     the large model's server, on a processor core of its own
replay    a drafter whose drafts are right as often as is wanted
naive     draft, wait, verify, one block after another
caller    one caller: tokens a second, passes and bytes, way by way
load      as many callers as keep the cloud busy
curve     milliseconds of a verify step by rows and tokens, and the cost model fitted to it
results   figures as files and tables
pictures  the plots of docs/
"""
