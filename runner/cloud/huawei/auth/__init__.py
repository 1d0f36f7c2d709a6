"""Who we are to the cloud: from names in the environment to headers on a request."""
