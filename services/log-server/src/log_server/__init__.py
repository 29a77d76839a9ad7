"""The kubelet HTTPS API of each Node."""
