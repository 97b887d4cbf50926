"""Loans: approve, refer or refuse. Not logic: a product file and a maker of sample data."""
