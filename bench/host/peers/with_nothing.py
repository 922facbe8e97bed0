"""A host without telemetry."""
