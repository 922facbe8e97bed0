"""What may be stored, and what of a document is stored."""
