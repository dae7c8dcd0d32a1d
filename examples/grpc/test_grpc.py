"""No call fails while the token and the server's certificate are rotated."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from liveconfig.testing import KubeletVolume


def module(name: str) -> ModuleType:
    """Load a program of this example."""
    spec = importlib.util.spec_from_file_location(f"grpc_example_{name}", Path(__file__).parent / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


client, server = module("client"), module("server")


def certificate(number: int) -> tuple[str, str]:
    """A certificate for localhost that signs itself, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"server {number}")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    cert = builder.sign(key, hashes.SHA256()).public_bytes(pem).decode()
    return cert, key.private_bytes(pem, form, serialization.NoEncryption()).decode()


def accepts(token: str) -> Callable[[Any], bool]:
    """The condition that the settings of the server have this token."""
    return lambda snapshot: SecretStr(token) in snapshot.accepted


def test_no_call_fails(make_kubelet_volume: Callable[..., KubeletVolume]) -> None:
    """Calls and new channels go on through five rotations of the token and of the certificate."""
    pairs = [certificate(number) for number in range(6)]
    of_server, of_client = make_kubelet_volume("server"), make_kubelet_volume("client")
    for number, (cert, key) in enumerate(pairs):
        tokens = [f"token-{each}" for each in range(number, max(-1, number - 2), -1)]
        of_server.write({"tls.crt": cert, "tls.key": key, "accepted": json.dumps(tokens)})
        if number == 0:
            served = server.ServerSettings.load(_volumes=of_server.path)
            running, port = server.start(served, 0)
        served.live.wait(accepts(tokens[0]), timeout=30)  # the server knows a token before a client sends it
        of_client.write({"orders.token": f"token-{number}", "orders.ca": "".join(pair[0] for pair in pairs)})
        if number == 0:
            used = client.ClientSettings.load(_volumes=of_client.path)
            channel = client.open_channel(used, f"localhost:{port}")
        for _ in range(20):
            assert client.get_order(channel) == b"one order"
        with client.open_channel(used, f"localhost:{port}") as another:
            assert client.get_order(another) == b"one order"
        used.live.reload()
    channel.close()
    running.stop(None).wait(10)
    for settings in (served, used):
        settings.live.close()
    assert threading.active_count() < 20
