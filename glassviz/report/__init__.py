"""Reports: sentences, serialisation, pages."""
