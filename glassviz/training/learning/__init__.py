"""Learning: the losses, and the learner that minimises them."""
