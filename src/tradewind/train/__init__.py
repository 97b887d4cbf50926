"""One loop that makes a run out of a dataset and a product."""
