"""Training: configuration, recipes, learner, collection, run folders."""
