"""How long work in steps leaves the database to others."""

from datetime import timedelta

PAUSE = timedelta(milliseconds=10)
REST = 3
"""How much longer than a step the pause after it is, so that writes have most of the time."""
