"""Preprocessing in NumPy over JSON state: one spelling of each transform, for training and for serving."""
