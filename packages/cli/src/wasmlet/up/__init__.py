"""`wasmlet up`: an embedded NATS and the four services as processes of this machine."""
