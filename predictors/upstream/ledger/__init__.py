"""The egress ledger: a line before and a line after each attempt at another server, chained by
hashes, so that nobody can change or remove one unseen.

lines      the format: what a line is, its hash, the head of a chain
signing    signatures of lines, and whether they hold
writer     Ledger, the one writer of a path: segments, recovery, fsync
opening    which ledgers this process has open; the head as a metric
decision   why a request leaves: what mining decided, for the lines
sent       what is known of the attempt under way; the call that it belongs to
egress     Egress, around each attempt: the line of intent, the line of outcome
segments   the files of a ledger, in order
verify     whether the chain holds, against an exported head
report     what left, why and how much

Heads, texts and keys are never written: of a body the hash and its length.
"""
