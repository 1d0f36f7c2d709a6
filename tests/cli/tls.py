"""TLS in front of a simulated cloud, at an address that does not count as loopback: as real as
a target can be here.

The certificate is for 0.0.0.0, which is this machine and no loopback address; only
`SSL_CERT_FILE` makes it trusted.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "tls"
HOST = "0.0.0.0"  # noqa: S104 - connected to, never bound
TRUSTED = FOLDER / "trusted.pem"


@contextmanager
def tls_front(port: int) -> Iterator[str]:
    """Pass TLS connections on to a local port in plain. Yields the URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER / "server.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener, context, port), daemon=True).start()
        yield f"https://{HOST}:{listener.getsockname()[1]}"
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def _serve(listener: socket.socket, context: ssl.SSLContext, port: int) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_connection, args=(client, context, port), daemon=True).start()


def _connection(client: socket.socket, context: ssl.SSLContext, port: int) -> None:
    with suppress(OSError), client, context.wrap_socket(client, server_side=True) as secure:
        plain = socket.create_connection(("127.0.0.1", port))
        back = threading.Thread(target=_pump, args=(plain, secure), daemon=True)
        back.start()
        _pump(secure, plain)
        back.join()
        plain.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
