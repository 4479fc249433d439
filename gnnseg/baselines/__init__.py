"""Convolutional networks that region models are measured beside."""
