"""`wasmlet check`: what manifests would meet here, before they are applied."""
