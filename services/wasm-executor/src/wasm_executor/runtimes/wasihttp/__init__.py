"""The `wasi-http` runtime: serves components that export `wasi:http/incoming-handler`."""
