"""Schemas of models and migrations, compared on one server without a project around them."""
