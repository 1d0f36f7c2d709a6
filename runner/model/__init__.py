"""The nouns: frozen data that every other part shares. Imports nothing of ours."""
