"""The environment variables by which a user opts out of a single package."""

from plaintally.consent.rules import variables

__all__ = ["variables"]
