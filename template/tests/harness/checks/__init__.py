"""Checks that need no knowledge of the application, and so come with the template and get better with it."""
