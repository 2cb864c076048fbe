"""Many documents in one task."""
