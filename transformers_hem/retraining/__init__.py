"""`hem retrain`: the work. A challenger is trained on what came back, and takes the champion's
place where it is proven better.

wanted      what is asked
gathering   rows of base data and of a store of feedback, as observations
judges      which rows may judge: those that came back, and that the champion has not learned
sampling    whether its pairs are a plain sample of the traffic
traffic     a plain sample of all that is decided, where a promise takes no outcomes
basis       what a new threshold stands on: reserved pairs, or that sample
challenger  chooses a challenger's threshold by a promise
compared    what was found of champion and challenger, for the record and the report
outcome     what became of it, as JSON
running     the whole: lock, set, training, comparison, calibration, switch
live        how much quality is lost, by shadow pairs
watching    whether the version in force keeps its promise, and what to do where it doesn't

It runs in a process of its own, by hand or as a CronJob: HEM servers read the folder of versions,
and take up what it points to.
"""
