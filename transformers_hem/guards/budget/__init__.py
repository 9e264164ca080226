"""Keeps requests at the edge once what may be spent in the cloud is spent.

parameters  what may be spent, in which window, and for whom
amounts     requests, tokens and money, as they are added up
clock       time that no change of the clock sets back or forward
state       what was spent: a file that processes share
damage      what to do with a file that can't be read
guard       the guard
"""
