"""What all HTTP endpoints share, and those that only show."""
