"""Whom we serve: accounts, keys, plans, exact metering and money. Knows meters and prices, never a model."""
