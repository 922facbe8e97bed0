"""Attacks on a collector, and what an attacker gets for 10 kB/s: `scripts/bench attacks`."""
