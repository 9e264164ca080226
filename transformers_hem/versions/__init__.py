"""A folder with the versions of a trained router, and a pointer to the one that serves.

FOLDER/
  current.json      which version is in force, and the last switches with their reasons
  1/ 2/ 3/ ...      versions: router directories with a version.json, never changed, only deleted
  reports/          of `hem retrain`, one folder each
  .retrain.lock  .switch.lock

pointer    current.json, and which directory HEM_ROUTER=FOLDER means; imports nothing of routers/
record     version.json: what trained a version, what it was compared with, what it promises
disk       files and folders that are there whole or not at all, also after kill -9
locks      one retrain at a time, one switch at a time
folder     adds, switches, rolls back, deletes the oldest

Only who writes takes locks; a HEM server reads, and may have the folder mounted read-only. Every
change is a rename of what is already on the disk, so that a reader finds the old or the new, at any
moment, and so does who comes after a crash. A file is the pointer, not a link: volumes of object
stores have no links.
"""
