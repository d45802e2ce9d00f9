"""The networks, one module each, with parameter names as in the published files."""
