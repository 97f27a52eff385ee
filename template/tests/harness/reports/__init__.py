"""Reports of failed tests, and the summary of the run."""
