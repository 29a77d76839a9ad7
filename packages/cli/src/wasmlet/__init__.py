"""The command line: `wasmlet up` runs a node, `wasmlet push` puts a module into a registry."""
