"""Candid on Ray Serve: ingress replicas speak HTTP and read pictures, encoder replicas run the towers.

Imported only by Ray, from deploy/ray/serve.yaml; the package is an extra.
"""
