"""What was published, as data: report.json, claim cards, the plan, restatements, their hashes."""
