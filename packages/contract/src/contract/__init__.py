"""The wire between the services: messages, subjects, codec, errors."""
