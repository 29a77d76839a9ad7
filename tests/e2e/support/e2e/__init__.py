"""What the end-to-end tests share: guests, images, pods, expectations and a running wasmlet."""
