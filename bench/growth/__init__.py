"""How the time of every operation grows with imports and shared sessions."""
