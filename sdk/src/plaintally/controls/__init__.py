"""What users ask of a handle after the import, loaded when they first ask.

The public functions of `sessions` and `switches` are the methods of `plaintally.Telemetry`, whose
handle is their first parameter. `callers` finds out who asks.
"""
