"""What the registrar does with its decisions: tasks and their state."""
