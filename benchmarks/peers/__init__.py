"""Other tools, in environments of their own."""
