"""Signed bundles, their registry and their card. Torch-free."""
