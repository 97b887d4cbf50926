"""One verb, one file, each a story read from top to bottom. The only floor where all rooms meet."""
