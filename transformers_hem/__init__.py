"""First floor: decides. The hard-example mining (HEM) transformer, its algorithms and training."""
