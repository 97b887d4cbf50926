"""The schema's versions in order. A change of `tables.py` comes with a file in `versions/` and its name here."""

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
HEAD = REVISIONS[-1]
