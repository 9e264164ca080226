"""What comes back from use: decisions, and what people and programs say of the answers.

A thread of the HEM server writes both into one store, many at a time, and whoever gave feedback is
answered once it is on the disk. Nothing here is imported where no store is set, and SQLAlchemy only
by what opens one.

records     a decision, one feedback, and what is said of it: frozen values
body        the bodies of POST /feedback, checked
tables      the tables, as SQLAlchemy sees them; migrations/ makes them
place       where a store is: a file of SQLite's, or PostgreSQL's URL
opening     opens a store: its lock, its version, what it is
sqlite      what only a file has: one process that writes it, copies of it that somebody put back
keeping     writes records, each once
writer      the thread that writes; each commit holds what came during the one before
room        makes room: by age, by rows, and what is to be forgotten
reading     reads what was kept, for export and training
recorder    from a request that has ended to a decision in the store
routes      the paths of the HEM server
"""
