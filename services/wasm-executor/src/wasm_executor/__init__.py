"""One Node's containers: pulls, compiles, runs, restarts and stops Wasm modules."""
