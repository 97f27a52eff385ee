"""Tests of the workflows, rendered and of this repository: they are audited, and their steps are run."""
