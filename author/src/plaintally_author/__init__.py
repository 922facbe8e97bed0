"""Development tools of authors: check a contract, compare it, and publish it as a privacy page."""

__version__ = "0.1.0"
