"""Films: OpenGL, renderer, overlay, encoder."""
