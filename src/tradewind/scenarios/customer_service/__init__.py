"""Scenario: a shop's customer service that talks, cites, and calls a person. Sample data and a product file, no logic."""
