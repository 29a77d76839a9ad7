"""What the executor decides, without doing it: no await, no I/O, clocks passed in."""
