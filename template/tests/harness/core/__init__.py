"""What every part of the harness may know: the run, its settings, the request that is handled, source lines."""
