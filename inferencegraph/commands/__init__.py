"""The commands of `hem`, one file each; `inferencegraph.cli` lists them.

A command parses, calls and prints; the work is in the other rooms, imported inside the function,
so that `hem --help` loads none of it. A new command is a file here and a line in `cli`.

options   options that several commands have; names of tables in a command's help
running   progress, and what Ctrl-C does
counts    numbers of things, as sentences have them

A command with many options has them in a file of its own, as bench_options. What it does once they
are read, where that is much, is in a file named for the work: benching, estimating, labelling,
retraining, and sending for `hem feedback send`.
"""
