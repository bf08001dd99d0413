"""What the product does: blocking, one verb a file."""
