"""What the collector takes for what arrives over HTTP, beside an echo and beside another collector."""
