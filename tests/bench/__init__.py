"""Times and ratios, never tests."""
