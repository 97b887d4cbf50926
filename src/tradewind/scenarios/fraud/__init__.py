"""Card fraud in a stream of transactions. Not logic: a product file and a maker of sample data."""
