"""What a person at the keyboard meets, and a run never: displays, short errors, fresh modules."""
