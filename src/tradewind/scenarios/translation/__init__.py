"""A translator from English to Chinese. Files of a new product folder; no logic."""
