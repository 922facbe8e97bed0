"""Tokens, logins and what they permit."""
