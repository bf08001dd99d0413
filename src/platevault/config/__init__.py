"""What is set: typed settings, users, tokens, access list, and the state database."""
