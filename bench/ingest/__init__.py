"""What the collector costs over HTTP, beside an echo and another collector."""
