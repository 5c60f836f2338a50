"""The ledger: what the trainings in a tree of logs reported."""
