"""The HTTP API in front of releases."""
