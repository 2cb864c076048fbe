"""One job from a worker's side: its record, following it, and kills."""
