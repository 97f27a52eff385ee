"""One connection on which a savepoint test runs: each transaction of the application is a savepoint in it."""
