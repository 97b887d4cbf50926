"""A translator from English into Chinese. Not here: any logic."""
