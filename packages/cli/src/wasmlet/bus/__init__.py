"""What an operator prepares of the bus."""
