"""How the time of every operation of the collector grows with what it has counted and with what users shared."""
