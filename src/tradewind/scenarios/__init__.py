"""Scenarios: products that a team could start from tomorrow. A folder each: `tradewind.yaml`, `make_data.py`, `README.md`.

No logic lives here: a scenario says what is built, its maker writes sample data. They are entry points `tradewind.scenarios`,
each the name of a package like those in this folder, so that another package can bring its own.
"""
