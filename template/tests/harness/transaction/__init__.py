"""The shared connection of a savepoint test: each transaction of the application is a savepoint on it."""
