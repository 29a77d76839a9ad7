"""What `make bench` measures, on a real control plane: start, burst, writes, memory, logs."""
