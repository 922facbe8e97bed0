"""A module."""

DECORATE


@decorate
def fit(data: "Data", *, steps: int = 3) -> "Data":
    """Fit it.

    >>> 1 + 1
    2
    """
    return data


@decorate
async def later(data: "Data") -> None:
    """Fit it later."""


class Data:
    """Data."""

    @decorate
    def size(self) -> int:
        """Tell its size."""
        return 3

    @decorate
    @classmethod
    def made(cls) -> "Data":
        """Make it."""
        return cls()
