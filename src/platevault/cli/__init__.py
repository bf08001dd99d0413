"""How people ask: one file a command group."""
