"""Scenario: spoken commands, told apart by what was said and answered with a text. Sample data and a product file, no logic."""
