"""Scenario: continue, title and rewrite by a small language model of the team's own texts. Sample data and a product file, no logic."""
