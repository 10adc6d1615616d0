"""Envelope v1 and blinded keys, written from src/seal/FORMAT.md alone, to hold the proxy against."""
import base64
import hashlib
import hmac
import os
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC_VERSION = b"\xf5\xc7\x01"
SUITE_XAES = 0x01
ZSTD, GENERATION, CONTROL = 0x10, 0x20, 0x40


def read_keys(text):
    """The lines of a key file: {"primary": bytes, "masters": [bytes...], "blind": bytes, ...}"""
    lines = [line.split("#")[0].split() for line in text.splitlines()]
    lines = [line for line in lines if line]
    assert lines[0] == ["tokenring-keys", "1"], lines[0]
    keys = {"masters": []}
    for word, key in lines[1:]:
        key = base64.b64decode(key, validate=True)
        if word in ("primary", "master"):
            keys["masters"].append(key)
        if word != "master":
            keys[word] = key
    return keys


def hkdf(master, info, size=32):
    return HKDF(hashes.SHA256(), size, b"tokenring/1", info).derive(master)


def key_id(master):
    return hkdf(master, b"kid")[:4]


def _aes(key, block):
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)


def _xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def subkey(key, head):
    number = int.from_bytes(_aes(key, bytes(16)), "big") << 1
    if number >> 128:
        number = number ^ 1 << 128 ^ 0x87
    k1 = number.to_bytes(16, "big")
    return b"".join(_aes(key, _xor(b"\0" + bytes([i]) + b"X\0" + head, k1)) for i in (1, 2))


def _aad(head, generation, namespace, key, flags):
    return (head + generation + struct.pack(">IB", flags, len(namespace)) + namespace
            + struct.pack(">H", len(key)) + key)


def seal(master, namespace, key, plain, *, flags=0, exp=0, iat=0, generation=None, bits=0, nonce=None):
    nonce = nonce or os.urandom(24)
    bits |= SUITE_XAES | (GENERATION if generation is not None else 0)
    head = MAGIC_VERSION + bytes([bits]) + key_id(master) + struct.pack(">II", exp, iat)
    tail = struct.pack(">Q", generation) if generation is not None else b""
    cipher = AESGCM(subkey(hkdf(master, b"env\0" + namespace), nonce[:12]))
    return head + nonce + tail + cipher.encrypt(nonce[12:], plain, _aad(head, tail, namespace, key, flags))


def open_sealed(masters, namespace, key, sealed, *, flags=0):
    """(plaintext, exp, iat, generation); raises where it is not genuine."""
    assert sealed[:3] == MAGIC_VERSION and sealed[3] & 0x8f == SUITE_XAES
    master = {key_id(m): m for m in masters}[sealed[4:8]]
    head, nonce, rest = sealed[:16], sealed[16:40], sealed[40:]
    tail = b""
    if head[3] & GENERATION:
        tail, rest = rest[:8], rest[8:]
    cipher = AESGCM(subkey(hkdf(master, b"env\0" + namespace), nonce[:12]))
    plain = cipher.decrypt(nonce[12:], rest, _aad(head, tail, namespace, key, flags))
    exp, iat = struct.unpack(">II", head[8:])
    return plain, exp, iat, struct.unpack(">Q", tail)[0] if tail else None


def _mac(key, domain, namespace, text, size):
    mac = hmac.new(key, domain + bytes([len(namespace)]) + namespace + text, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac[:size]).rstrip(b"=")


def blind(blind_key, namespace, key, tag=b"", ends=b"{}"):
    group = ends[:1] + _mac(blind_key, b"t", namespace, tag, 8) + ends[1:] if tag else b""
    return namespace + group + _mac(blind_key, b"k", namespace, key, 20)


def audit_reference(audit_key, namespace, key):
    return _mac(audit_key, b"a", namespace, key, 16)
