"""Puts load on servers of one or several URLs, and tells what they bear: `hem bench`.

questions   rows of a file as what is asked
target      one URL: its API, the bodies of its requests
answers     what one exchange says: tokens, route, first token
record      one request of a run, and its row in a file
plan        what is asked how: levels, how long, which parts of the time belong to whom
driving     an open loop (arrivals at a rate) and a closed one (callers)
harness     what the harness itself takes, and how late it is
processes   memory and processor time of the server, where it runs here
running     first requests, warm-up, blocks in their order
statistics  percentiles and bootstrap intervals
summary     the figures of one target at one level; two targets beside each other
report      tables for people
writing     the rows in a folder
hops        the hops of a running local stack, beside each other

The connections are predictors.upstream.timed's.
"""
