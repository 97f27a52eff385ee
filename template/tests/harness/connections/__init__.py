"""Every connection of the process goes to the test's database, or is refused."""
