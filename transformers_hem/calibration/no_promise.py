from predictors.errors import ConfigurationError


class NoPromise(ConfigurationError):
    """The rows can't support what is to be promised: others, or more, may. Nothing is broken."""
