"""`hem estimate`: from a log with the cloud's answers, and a running edge, to a decision.

log          the log's rows, and what is left out of it and why
aim          what is to be found out, and how surely
edge         the edge model, asked alone
labelling    asks and scores; what was asked once is in a journal
walk         which rows need a label next, and when it knows enough
savings      money and time, from the log's own numbers
job          one run: trains on some rows, walks over the others
findings     what can be said of a walk and its labels
rows         labelled rows as files
report       what is left in the folder
result       what was found, in facts and in plain words
page         the page of HTML, with its figure

docs/estimate.md says what is promised, and why it holds.
"""
