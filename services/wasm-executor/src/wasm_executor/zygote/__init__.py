"""The process that container processes are forked from."""
