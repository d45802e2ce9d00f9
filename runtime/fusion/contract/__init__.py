"""What every backend keeps: sessions, the choice of a variant, the golden pair."""
