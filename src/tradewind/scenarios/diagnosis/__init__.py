"""Scenario: a finding in chest X-rays with what the clinic knows beside them. Sample data and a product file, no logic."""
