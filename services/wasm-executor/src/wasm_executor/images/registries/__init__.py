"""Speaking to registries: who is asked, with which credentials, and what is made of the answers."""
