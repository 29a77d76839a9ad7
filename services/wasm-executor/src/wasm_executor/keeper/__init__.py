"""The executor's first process: it owns every other one, and their output."""
