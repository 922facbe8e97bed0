"""HTTP on the collector's side: protocol, messages and limits."""
