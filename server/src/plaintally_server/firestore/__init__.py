"""Firestore's REST interface as values."""
