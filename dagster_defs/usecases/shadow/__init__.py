"""What a candidate run needs before it, and what its comparison needs after it."""
