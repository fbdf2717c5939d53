"""Files on disk: writing them atomically, and reading them strictly."""
