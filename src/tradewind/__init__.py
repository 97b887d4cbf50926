"""Tradewind: from a team's own data to a model that customers pay for. Importing it imports nothing else."""

__version__ = "0.1.0"
