"""The environment variables by which a user opts out of a single package."""

from plaintally._consent import variables

__all__ = ["variables"]
