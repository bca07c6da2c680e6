"""A gateway that listens in clear and over TLS, and the contexts of the peers around it."""

import ssl

from .certificates import Authority
from .gateway import reachable


class Secured:
    """One authority for the gateway's certificate, the upstreams' and the clients' trust."""

    def __init__(self, folder):
        self.folder = folder
        self.authority = Authority()
        self.trust = self.authority.trust(folder)
        leaf = self.authority.issue("localhost", "127.0.0.1", "api.test")
        self.files = leaf.files(folder, "server")
        self.leaf = leaf

    def listeners(self, **tls):
        """In clear first, then over TLS."""
        return [{}, {"tls": {"certificates": [self.files], **tls}}]

    def upstream(self, endpoint, **more):
        """An upstream's block; what is https is verified."""
        tls = {"tls": {"ca": self.trust}} if endpoint.startswith("https") else {}
        return {"endpoints": [endpoint], **tls, **more}

    def server_context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / self.files["certificate"],
                                self.folder / self.files["privateKey"])
        return context

    def client_context(self):
        return ssl.create_default_context(cafile=self.folder / self.trust)


def secure_address(gateway):
    return reachable(gateway.config["listeners"][1]["address"], gateway.folder)
