"""The gateway's page at /ui: ask, see decisions, try thresholds.

routes    its paths: files without a key, and two of JSON with the API's keys
files     the files in static/, with the headers that keep a browser to this server
recent    the last requests, without their texts, and sums over all of them
drafts    how answers came about that both models made
counters  the one list of the process' metrics that it shows
learning  the promise, live quality, versions of the router, and what has come back from use
curve     the threshold in force, what others would give, and what to run where that is unknown
static/   HTML, CSS and JavaScript as they are sent: no build step, nothing from elsewhere
"""

from transformers_hem.gateway.page.routes import Page

__all__ = ["Page"]
