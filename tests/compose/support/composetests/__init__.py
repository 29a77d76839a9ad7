"""What the tests of compose.yaml share."""
