"""What made the embedded pair and its data. It is not installed, and nothing that is imports it.

families    the questions' three families, a level each difficulty
questions   questions of either side of the split, and the shipped test set
recipe      the models' shapes, their tokenizer, how long each is trained
learning    training batches, and the optimizer
train       trains the pair (a script)
answering   asks a model's directory, many questions at a time
evaluate    accuracy by family and difficulty, for README.md beside the models (a script)
labels      what both models make of training questions, for routers (a script)
"""
