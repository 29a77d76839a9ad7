"""Decisions of the registrar: pure, with the clock passed in."""
