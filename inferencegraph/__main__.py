"""`python -m inferencegraph` is `hem`."""

from inferencegraph.cli import main

main()
