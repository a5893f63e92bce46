"""How fast the parts are, as ratios."""
