"""The data plane: the serving catalogue, the compiled request, the online reader, the server."""
