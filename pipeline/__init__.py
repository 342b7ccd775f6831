"""Lodestar: monthly customer-success analysis of a subscription company."""
