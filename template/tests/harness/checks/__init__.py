"""Checks that work for every application, and are updated with the template."""
