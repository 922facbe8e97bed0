"""The background jobs of a running collector."""
