"""The wire between the services: messages, subjects, codec, errors.

Everything that crosses NATS is defined here and nowhere else. This package knows neither NATS nor
Kubernetes: a message is a frozen struct, a subject is a string built from its type, and a
permission is derived from the same table.
"""
