"""Every connection of the process leads to the test's database, or is refused."""
