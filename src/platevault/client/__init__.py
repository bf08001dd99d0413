"""Our own client of the PBS protocol: backup, restore, catalog, repository URL."""
