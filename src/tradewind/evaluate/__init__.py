"""Every figure of a report, asked of any predictor. Neither torch nor polars nor train."""
