"""Collection: acting in the environment, the reward that is trained on, and what is remembered."""
