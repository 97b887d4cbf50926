"""What a conversation says next, and what a person is told who takes it over. No routes, no database: see `server/conversations.py`."""
