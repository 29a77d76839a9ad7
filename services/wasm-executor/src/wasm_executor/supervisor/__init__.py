"""Turns plans into running containers, and what happens to them into reports."""
