"""Whether the version in force keeps its promise, by what came back since."""
