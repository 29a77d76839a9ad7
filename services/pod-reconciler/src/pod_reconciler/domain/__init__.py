"""Decisions without effects: what to plan, what to report, what is due. The clock is passed in."""
