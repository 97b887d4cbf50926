"""From raw sources to a dataset artifact. The only home of Polars. Never imports model, evaluate or release."""
