"""A pair of planes -> the fused plane: sessions, the backends behind them, engines."""
