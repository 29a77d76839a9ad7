"""The one-shot jobs of compose.yaml: files, cluster objects, example modules."""
