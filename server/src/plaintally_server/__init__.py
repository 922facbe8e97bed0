"""The collector and the public dashboard of plaintally."""
