"""What the tests of the Helm chart share."""
