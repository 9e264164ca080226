"""`hem retrain`: the work. A challenger is trained on what came back, and takes the champion's
place where it is proven better.

wanted      what is asked
gathering   rows of base data and of a store of feedback, as observations
windows     what is learned from, and the newest rows, which nothing is learned from
challenger  trains it, scores it, and chooses its threshold by a promise
outcome     what became of it, as JSON
running     the whole: lock, set, training, comparison, calibration, switch
watching    whether the version in force keeps its promise, and what to do where it doesn't

It runs in a process of its own, by hand or as a CronJob: HEM servers read the folder of versions,
and take up what it points to.
"""
