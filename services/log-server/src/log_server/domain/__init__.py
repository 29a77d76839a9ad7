"""Pure: who asks, what for, which lines. No await, no I/O, clocks passed in."""
