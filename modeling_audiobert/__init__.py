"""AudioBERT's model: exactly what travels to the Hub as remote code."""
