"""What one container's process does between its fork and its exit."""
