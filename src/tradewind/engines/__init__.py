"""Runs released models without torch."""
