"""The workflows, those that are rendered and this repository's own: audited, and their steps run."""
