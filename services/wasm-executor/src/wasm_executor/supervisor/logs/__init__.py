"""The logs of runs: their files as they rotate, and who reads them."""
