"""Pods as tasks: from a plan to processes, and from what happens to them to reports."""
