"""A stand-in for Warp 10 3.x on a wire: its messages, records and keys, made independently of
Aquifer's with Python's cryptography, a feeder that serves a list of records and a consumer.
Written from docs/protocols/warp10-datalog-3x.md."""

import os
import select
import socket
import struct
import threading
import time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

WELCOME, INIT, SEEK, TSEEK, COMMIT, DATA, KEEPALIVE = range(1, 8)
UPDATE, DELETE, REGISTER, UNREGISTER, KVSTORE = range(1, 6)
LOWEST, HIGHEST = -(1 << 63), (1 << 63) - 1
MASK = (1 << 64) - 1


# ── Thrift, the compact protocol ──

def varint(value):
    out = b""
    while value >= 128:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def zigzag(value):
    return varint(((value << 1) ^ (value >> 63)) & MASK)


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return varint(len(value)) + value


def encode(fields):
    """[(id, type, value)] as a struct: types i32, i64, bool, bin, list, map, struct."""
    out, last = b"", 0
    for number, kind, value in fields:
        code = {"i32": 5, "i64": 6, "bin": 8, "longs": 9, "texts": 9, "map": 11, "struct": 12}.get(
            kind, 1 if value else 2)
        delta = number - last
        out += bytes([delta << 4 | code]) if 1 <= delta <= 15 else bytes([code]) + zigzag(number)
        last = number
        if kind in ("i32", "i64"):
            out += zigzag(value)
        elif kind == "bin":
            out += text(value)
        elif kind in ("longs", "texts"):
            item = 6 if kind == "longs" else 8
            out += (bytes([len(value) << 4 | item]) if len(value) < 15
                    else bytes([0xF0 | item]) + varint(len(value)))
            out += b"".join(zigzag(v) if kind == "longs" else text(v) for v in value)
        elif kind == "map":
            out += varint(len(value)) + (b"\x88" if value else b"")
            out += b"".join(text(k) + text(v) for k, v in value.items())
        elif kind == "struct":
            out += encode(value)
    return out + b"\0"


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def byte(self):
        self.at += 1
        return self.data[self.at - 1]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def number(self):
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def bytes(self):
        size = self.varint()
        self.at += size
        assert self.at <= len(self.data)
        return self.data[self.at - size:self.at]

    def value(self, kind, element=False):
        if kind in (1, 2):
            return (self.byte() if element else kind) == 1
        if kind == 3:
            return self.byte()
        if kind in (4, 5, 6):
            return self.number()
        if kind == 7:
            self.at += 8
            return struct.unpack("<d", self.data[self.at - 8:self.at])[0]
        if kind == 8:
            return self.bytes()
        if kind in (9, 10):
            head = self.byte()
            count = head >> 4 if head >> 4 < 15 else self.varint()
            return [self.value(head & 15, True) for _ in range(count)]
        if kind == 11:
            count = self.varint()
            kinds = self.byte() if count else 0
            return {self.value(kinds >> 4, True): self.value(kinds & 15, True)
                    for _ in range(count)}
        assert kind == 12, kind
        return self.struct()

    def struct(self):
        fields, last = {}, 0
        while True:
            head = self.byte()
            if head & 15 == 0:
                return fields
            last = last + (head >> 4) if head >> 4 else self.number()
            fields[last] = self.value(head & 15)


def decode(data):
    return Reader(data).struct()


# ── Keys ──

class Key:
    def __init__(self, number=None, curve=ec.SECP256K1, name="secp256k1"):
        self.name = name
        self.private = (ec.generate_private_key(curve()) if number is None
                        else ec.derive_private_key(number, curve()))
        self.number = self.private.private_numbers().private_value
        self.public = self.private.public_key()
        self.public_hex = self.public.public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint).hex()
        self.config_private = f"{name}:{self.number}"
        self.config_public = f"{name}:{self.public_hex}"

    def sign(self, nonce, stamp, who):
        return self.private.sign(claim(nonce, stamp, who), ec.ECDSA(hashes.SHA512()))

    def verify(self, signature, nonce, stamp, who):
        try:
            self.public.verify(signature, claim(nonce, stamp, who), ec.ECDSA(hashes.SHA512()))
            return True
        except InvalidSignature:
            return False

    def session(self, peer, nonce, stamp):
        secret = self.private.exchange(ec.ECDH(), peer.public).lstrip(b"\0")
        n, t = nonce & MASK, stamp & MASK
        words = [siphash(a, b, s) for s in (secret, secret[::-1]) for a, b in ((n, t), (t, n))]
        return b"".join(struct.pack(">Q", word) for word in words)


def claim(nonce, stamp, who):
    return struct.pack(">qq", nonce, stamp) + who.encode()


def siphash(k0, k1, data):
    """SipHash-2-4 with a key of two words."""
    v = [k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d,
         k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573]

    def left(x, bits):
        return (x << bits | x >> (64 - bits)) & MASK

    def rounds(count):
        for _ in range(count):
            v[0] = (v[0] + v[1]) & MASK
            v[2] = (v[2] + v[3]) & MASK
            v[1], v[3] = left(v[1], 13) ^ v[0], left(v[3], 16) ^ v[2]
            v[0] = left(v[0], 32)
            v[2] = (v[2] + v[1]) & MASK
            v[0] = (v[0] + v[3]) & MASK
            v[1], v[3] = left(v[1], 17) ^ v[2], left(v[3], 21) ^ v[0]
            v[2] = left(v[2], 32)

    padded = data + b"\0" * (7 - len(data) % 8) + bytes([len(data) & 255])
    for (word,) in struct.iter_unpack("<Q", padded):
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xFF
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def seal(key, message, salt=None):
    plain = (salt or os.urandom(8)) + message
    pad = 8 - len(plain) % 8
    return aes_key_wrap(key, plain + bytes([pad]) * pad)


def unseal(key, sealed):
    plain = aes_key_unwrap(key, sealed)
    return plain[8:-plain[-1]]


# ── Records ──

def metadata(name, labels, attributes=None, source=None):
    fields = [(1, "bin", name), (2, "map", labels), (3, "i64", 1), (4, "i64", -2),
              (5, "map", attributes or {})]
    return fields + ([(6, "bin", source)] if source else [])


def points(*values):
    """(time, value): encoded each by itself, absolute, as any reader must take."""
    out = b""
    for when, value in values:
        if isinstance(value, bool):
            head, body = (0x64 if value else 0x62), b""
        elif isinstance(value, int):
            head, body = 0x6C, zigzag(value)
        elif isinstance(value, float):
            head, body = 0x74, struct.pack(">d", value)
        else:
            head, body = 0x78, text(value)
        out += bytes([head]) + struct.pack(">q", when) + body
    return out


TOKEN = [(1, "i64", 0), (2, "i64", 4102444800000), (3, "i32", 2), (5, "bin", b"\x11" * 16),
         (6, "bin", b"\x11" * 16), (7, "bin", "demo")]


def record(kind, made_ms, name="demo.temp", labels=None, creator="node-w", values=(), start=LOWEST,
           end=HIGHEST, attributes=None, source=None):
    fields = [(1, "i32", kind), (2, "bin", creator), (3, "i64", made_ms),
              (4, "i64", made_ms + 1)]
    if kind != KVSTORE:
        fields.append((5, "struct", metadata(name, labels or {}, attributes, source)))
    if kind == UPDATE:
        fields += [(6, "i64", 0), (7, "bin", points(*values))]
    if kind == DELETE:
        fields += [(8, "i64", start), (9, "i64", end)]
    if kind in (UPDATE, DELETE):
        fields.append((11, "struct", TOKEN))
    if kind == KVSTORE:
        fields.append((12, "struct", []))
    return encode(fields)


# ── A connection ──

class Wire:
    """Frames over a socket, sealed or not. Faults are EOFError or socket.timeout."""

    def __init__(self, sock, timeout_s=30):
        self.sock, self.key = sock, None
        sock.settimeout(timeout_s)
        self.frames_in = []

    def exactly(self, size):
        data = b""
        while len(data) < size:
            piece = self.sock.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def read(self):
        body = self.exactly(struct.unpack(">I", self.exactly(4))[0])
        self.frames_in.append(body)
        return decode(unseal(self.key, body) if self.key else body)

    def write(self, fields):
        body = encode(fields)
        self.write_body(seal(self.key, body) if self.key else body)

    def write_body(self, body):
        self.sock.sendall(struct.pack(">I", len(body)) + body)

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


class Feeder:
    """Serves records, each at its place in a file that has the name of a real one. Goes back to
    the beginning of the file for any ref, as 3.5.0 does, unless `exact`."""

    STEM = "000001a1fb4e9dd6.1f167dba-949a-4c21-b543-a5f9"

    def __init__(self, key, consumer, encrypt=True, ident="feeder-n", exact=False, records=()):
        self.key, self.consumer, self.encrypt, self.id = key, consumer, encrypt, ident
        self.exact, self.lock = exact, threading.Lock()
        self.records = list(records)
        self.seeks, self.commits, self.inits, self.keepalives = [], [], [], 0
        self.misbehave = None  # called with the wire instead of greeting
        self.batch = 100  # records in flight
        self.cut_after = None  # records; then the connection is cut, once
        self.welcome = None  # sent instead of a fresh one
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.stopping = False
        threading.Thread(target=self._accept, daemon=True).start()

    def add(self, *records):
        with self.lock:
            self.records += records

    def close(self):
        self.stopping = True
        self.listener.close()

    def ref(self, index):
        return f"{self.STEM}:{200 + 100 * index}:{len(self.records[index])}"

    def _accept(self):
        while not self.stopping:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(Wire(sock),), daemon=True).start()

    def _serve(self, wire):
        try:
            if self.misbehave is not None:
                self.misbehave(wire)
                return
            self._greet(wire)
            self._feed(wire)
        except (EOFError, OSError):
            pass
        finally:
            wire.close()

    def _greet(self, wire):
        nonce, stamp = struct.unpack(">q", os.urandom(8))[0], int(time.time() * 1000)
        welcome = self.welcome or [
            (1, "i32", WELCOME), (2, "i64", nonce), (3, "i64", stamp), (4, "bool", self.encrypt),
            (11, "bin", self.id), (12, "bin", self.key.sign(nonce, stamp, self.id))]
        nonce, stamp = welcome[1][2], welcome[2][2]
        wire.write(welcome)
        self.last_welcome = welcome
        init = wire.read()
        assert init[1] == INIT
        who = init[11].decode()
        if not self.consumer.verify(init[12], nonce, stamp, who):
            raise EOFError
        self.inits.append(init)
        if self.encrypt:
            wire.key = self.key.session(self.consumer, nonce, stamp)

    def _start(self, seek):
        self.seeks.append(seek)
        if seek[1] == TSEEK or not self.exact:
            return 0
        return (int(seek[21].decode().split(":")[1]) - 200) // 100

    def _feed(self, wire):
        at, in_flight, sent = self._start(wire.read()), [], 0
        while not self.stopping:
            while at < len(self.records) and len(in_flight) < self.batch:
                with self.lock:
                    ref = self.ref(at)
                    wire.write([(1, "i32", DATA), (51, "bin", self.records[at]),
                                (52, "bin", ref)])
                in_flight.append(ref)
                at, sent = at + 1, sent + 1
                if self.cut_after == sent:
                    self.cut_after = None
                    return
            if not select.select([wire.sock], [], [], 0.05)[0]:
                continue
            message = wire.read()
            if message[1] == COMMIT:
                ref = message[21].decode()
                assert ref in in_flight, (ref, in_flight)
                in_flight = in_flight[in_flight.index(ref) + 1:]
                self.commits.append(ref)
            elif message[1] == KEEPALIVE:
                self.keepalives += 1
            else:
                assert message[1] in (SEEK, TSEEK), message
                at, in_flight = self._start(message), []


class Consumer:
    """Takes what a feeder says, until it is told to stop; keeps what it took."""

    def __init__(self, port, key, feeder, ident="consumer-1", ref=None, since_ms=0, excluded=(),
                 shards=(), commit=True):
        self.wire = Wire(socket.create_connection(("127.0.0.1", port)))
        self.key, self.feeder, self.id = key, feeder, ident
        self.welcome = self.wire.read()
        nonce, stamp = self.welcome[2], self.welcome[3]
        assert self.welcome[1] == WELCOME
        assert feeder.verify(self.welcome[12], nonce, stamp, self.welcome[11].decode())
        init = [(1, "i32", INIT), (11, "bin", ident), (12, "bin", key.sign(nonce, stamp, ident))]
        if shards:
            init += [(13, "longs", [m << 32 | r for m, r in shards]), (14, "i64", 48)]
        if excluded:
            init.append((15, "texts", list(excluded)))
        self.wire.write(init)
        if self.welcome[4]:
            self.wire.key = key.session(feeder, nonce, stamp)
        self.wire.write([(1, "i32", SEEK), (21, "bin", ref)] if ref else
                        [(1, "i32", TSEEK), (31, "i64", since_ms)])
        self.taken, self.keepalives, self.commits = [], 0, commit

    def take(self, count=1, commit=None):
        """The next records: [(ref, record)]."""
        got = []
        while len(got) < count:
            message = self.wire.read()
            if message[1] == KEEPALIVE:
                self.keepalives += 1
                continue
            assert message[1] == DATA, message
            got.append((message[52].decode(), decode(message[51])))
            if self.commits if commit is None else commit:
                self.commit(got[-1][0])
        self.taken += got
        return got

    def take_what_comes(self, seconds):
        """The next record, if there is one within that time: a list of none or one."""
        if not select.select([self.wire.sock], [], [], seconds)[0]:
            return []
        message = self.wire.read()
        if message[1] == KEEPALIVE:
            return []
        self.commit(message[52].decode())
        return [decode(message[51])]

    def nothing_for(self, seconds):
        """True when nothing but KEEPALIVE comes."""
        self.wire.sock.settimeout(seconds)
        try:
            return self.wire.read()[1] == KEEPALIVE
        except socket.timeout:
            return True
        finally:
            self.wire.sock.settimeout(30)

    def commit(self, ref):
        self.wire.write([(1, "i32", COMMIT), (21, "bin", ref)])

    def seek(self, ref):
        self.wire.write([(1, "i32", SEEK), (21, "bin", ref)])

    def close(self):
        self.wire.close()
