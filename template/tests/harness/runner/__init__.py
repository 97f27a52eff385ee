"""How tests run: the event loop, the time limit, and garbage collection."""
