"""Roll-outs: from a RUN argument to its traces, found or recorded."""
