"""What a candidate run needs beforehand, and what its comparison needs afterwards."""
