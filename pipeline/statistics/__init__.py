"""Estimators that the libraries lack or get wrong: arrays in, arrays out; they know no customer."""
