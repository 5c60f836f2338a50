"""Films of traces: OpenGL, renderer, overlay and encoder."""
