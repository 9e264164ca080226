"""Labels for training: both models are asked, both answers scored, and rows written and read.

asking.py     the two models, behind predictors or a graph, asked for one answer
job.py        one run of `hem label`: from the file of questions to the file of labels
journal.py    what a run has asked and scored so far; the next run goes on from it
labels.py     labelled rows as training and calibration read them; the hard rule
prefixes.py   the beginnings of the edge's answers, for rules that decide on one
mixinstruct.py  labels made of a published data set, without asking
question.py   the file of questions
examples/     questions, and answered questions, to try `hem label` with
scorers/      how good an answer is: a file per scorer, and its line in the table

Files that the last release wrote must load: keep the fields of journals and of labelled rows.
"""
