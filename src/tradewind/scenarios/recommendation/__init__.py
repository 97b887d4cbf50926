"""A shop: what a visitor looks at next. Files of a new product folder; no logic."""
