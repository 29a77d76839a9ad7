"""What an image is made of: manifests, configs and layers, and the tree that they unpack to."""
