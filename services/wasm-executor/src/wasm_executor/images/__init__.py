"""Images: from a name in a plan to a compiled artifact on disk."""
