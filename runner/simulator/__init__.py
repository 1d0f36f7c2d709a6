"""The simulated cloud: a real HTTP server that answers like the ECS and IAM services.

Its world is a function of (seed, log, now); `server` puts it on a loopback port.
"""
