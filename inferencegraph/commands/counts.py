"""Numbers of things, as sentences have them."""


def counted(count: int, thing: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{count} {thing}{'' if count == 1 else 's'}"
