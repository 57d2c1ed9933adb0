"""Data the model is trained and measured on."""
