"""Modules that all other folders may use: the run, its settings, the current request, source lines."""
