"""What this node, its pods and their processes use, and what follows when it is too much."""
