"""Platevault: a backup server that speaks the Proxmox Backup Server protocol."""
