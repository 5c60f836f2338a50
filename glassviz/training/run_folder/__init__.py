"""The run folder: who may write to it, the logs, and saves to resume from."""
