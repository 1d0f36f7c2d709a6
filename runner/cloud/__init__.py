"""The clouds that runs can reach; one package each."""
