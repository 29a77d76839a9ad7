"""The command line: up, push."""
