"""Numbers with their noun."""


def counted(count: int, noun: str) -> str:
    """`1 label`, `2 labels`, `1,000 labels`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
