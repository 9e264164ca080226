"""What comes back from use: decisions, and what people and programs say of the answers.

A thread of the HEM server writes both into one store, many at a time, and whoever gave feedback is
answered once it is on the disk. Nothing here is imported where no store is set, and SQLAlchemy only
by what opens one.

records     a decision, one feedback, and what is said of it: frozen values
body        the bodies of POST /feedback, checked
tables      the tables, as SQLAlchemy sees them; migrations/ makes them
place       where a store is: a file of SQLite's, or PostgreSQL's URL
database    what an open store is
sqlite      a store in a file: one process that writes it, copies of it that somebody put back
postgresql  a store that several servers write to; answering gives up one that says nothing
opening     opens either
statements  what the writer asks of a store again and again
keeping     writes records, each once
writer      the thread that writes; each commit holds what came during the one before
room        makes room: by age, by rows, and what is to be forgotten
reading     reads what was kept: decisions with what was said of them last
exporting   the same as lines, to train on
pushed      records of another store, as a body
recorder    from a request that has ended to a decision in the store
features    what a LinearRouter sees of a query, as bytes
signals     retries, re-asks, and escalations that changed nothing
heard       what a caller got of an answer
shadow      compares a share of one side's answers with the other's
pushing     sends on what an edge has collected
rate        how much one client may send
routes      the paths of the HEM server; client calls them
collecting  all of it in one server; build makes it of settings
"""
