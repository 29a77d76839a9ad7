"""A node with the real kubelet and containerd beside the tests' control plane."""
