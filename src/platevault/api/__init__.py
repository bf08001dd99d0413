"""How it is asked: REST handlers and blocking data-plane handlers."""
