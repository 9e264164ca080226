"""Ground floor: answers. KServe predictors, their engines, and the V2 contract."""
