"""A conversation in the terminal: what is sent, to whom, and the commands in between."""
