"""The command `plaintally-server`, one module for each command."""
