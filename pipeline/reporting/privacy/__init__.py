"""What may a reader see of few people? Small cells in rows, pictures and sentences."""
