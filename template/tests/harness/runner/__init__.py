"""How tests run: one event loop, a time limit, and nothing of one test left for the next."""
