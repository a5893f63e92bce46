"""What a trial asks of its engine, and what it makes of the answers."""
