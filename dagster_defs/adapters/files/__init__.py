"""Files on disk: how they are written whole, and read again."""
