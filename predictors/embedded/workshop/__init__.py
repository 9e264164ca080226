"""What made the embedded pairs and their data. It is not installed, and nothing that is imports it.

families    the three families of the short pair, a level each difficulty
worked      the two families of the long pair, whose answers are worked out step by step
questions   questions of either side of the split, and the shipped test sets
recipe      the models' shapes, their tokenizers, how long each is trained
learning    training batches, and the optimizer
train       trains a pair (a script)
answering   asks a model's directory, many questions at a time
evaluate    accuracy by family and difficulty, for README.md beside the models (a script)
prefixes    what an edge answer's first tokens tell of its errors, and how often both models write
            the same token (a script)
labels      what both models make of training questions, for routers (a script)
"""
