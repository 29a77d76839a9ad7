"""A pod's volumes: made, kept up to date, shown to its containers, removed."""
