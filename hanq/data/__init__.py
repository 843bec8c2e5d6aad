"""Offline datasets, and the environments that they come from and that policies are evaluated in."""
