"""What decides may change while a server runs: routers, thresholds, guards, prices, tokens.

in_force   all that decides at one moment, taken by a request at its beginning
files      what tells that a file is another one
making     algorithms and guards, made anew only where what they are made of has changed
settings_file  settings that may change, from HEM_SETTINGS_FILE
reloading  looks once a second, and when an admin asks; a bad file is refused, the old one stays
report     what a look found, as JSON and metrics
shown      what is in force, as JSON, without secrets
routes     /admin/reload and /admin/config

Files are looked at by stat, once a second. A watch of the kernel's (inotify, as watchfiles uses it)
doesn't see what a ConfigMap does, which swaps a link two folders above, nor changes on network
file systems, and its instances run out on nodes with many pods. A look takes some microseconds.
"""
