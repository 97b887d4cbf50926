"""Personal data: found, redacted, sealed, kept for a time, erased. It knows no table."""
