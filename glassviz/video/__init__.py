"""Films: the GL backend, frames, overlay, encoding."""
