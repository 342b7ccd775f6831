"""How one notebook runs unattended, and what must hold before it counts as having run."""
