"""Latent maps: frames in a plane by UMAP or PCA."""
