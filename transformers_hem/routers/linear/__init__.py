"""LinearRouter: a linear model over hashed n-grams."""
