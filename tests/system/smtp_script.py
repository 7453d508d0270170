"""A mail server that does as it is told: any reply, silence, or a broken connection, at any step.

    with SmtpScript() as server:
        server.rule("RCPT", "451 4.7.1 greylisted", times=3)   # then as usual
        server.rule("dot", CLOSE)                              # takes the mail, answers nothing

Steps: greeting, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, body (before any of it is read), dot (the
whole mail was read), QUIT, NOOP. Every mail that was read to its dot and not refused, whether or not
the client was told so, is in `mails`; every command in `commands`.
"""
import base64
import email
import email.policy
import re
import socket
import socketserver
import ssl
import struct
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

HANG, CLOSE, RESET, DRIP = "hang", "close", "reset", "drip"
HOLD = "hold"  # until release(), then as usual


@dataclass
class Mail:
    sender: str
    recipients: list[str]
    content: bytes  # as sent: CRLF, dots still doubled
    is_encrypted: bool
    user: str | None

    @property
    def message_id(self) -> str:
        return self.message["Message-ID"]

    @property
    def message(self) -> email.message.EmailMessage:
        content = re.sub(rb"(?m)^\.\.", b".", self.content)
        return email.message_from_bytes(content, policy=email.policy.default)


@dataclass
class Rule:
    step: str
    action: str
    times: int | None


class Over(Exception):
    """The conversation ends."""


def certificate(folder: Path, name: str = "localhost") -> Path:
    """A key and a certificate that signs itself, for that host name, in one file."""
    path = folder / f"{name}.pem"
    key, chain = folder / f"{name}.key", folder / f"{name}.crt"
    kind = "IP" if name[0].isdigit() else "DNS"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", key, "-out", chain, "-days", "2", "-subj", f"/CN={name}",
         "-addext", f"subjectAltName={kind}:{name}"], check=True, capture_output=True)
    path.write_text(key.read_text() + chain.read_text())
    return path


class SmtpScript:
    def __init__(self, pem: Path | None = None, offers_starttls: bool = True,
                 is_implicit_tls: bool = False, password: str | None = None, port: int = 0):
        self.tls = None
        if pem is not None:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(pem)
        self.offers_starttls = offers_starttls and pem is not None and not is_implicit_tls
        self.is_implicit_tls = is_implicit_tls
        self.password = password
        self.rules: list[Rule] = []
        self.mails: list[Mail] = []
        self.commands: list[str] = []
        self.connections = 0
        self.lock = threading.Lock()
        self.ending, self.released = threading.Event(), threading.Event()
        script = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                Conversation(script, self.request).run()

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False
            request_queue_size = 50

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05},
                         daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        self.ending.set()
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def rule(self, step: str, action: str, times: int | None = 1):
        """From now on, so many times (None: always). Earlier rules for the same step come first."""
        with self.lock:
            self.rules.append(Rule(step, action, times))

    def clear(self):
        with self.lock:
            self.rules.clear()

    def release(self):
        self.released.set()

    def action(self, step: str) -> str | None:
        with self.lock:
            for rule in self.rules:
                if rule.step == step:
                    if rule.times is not None:
                        rule.times -= 1
                        if rule.times == 0:
                            self.rules.remove(rule)
                    return rule.action
        return None

    def count(self, verb: str) -> int:
        with self.lock:
            return sum(command.startswith(verb) for command in self.commands)


class Conversation:
    def __init__(self, script: SmtpScript, connection: socket.socket):
        self.script = script
        self.connection = connection
        self.is_encrypted = False
        self.unread = b""
        self.sender, self.recipients, self.user = "", [], None

    def run(self):
        with self.script.lock:
            self.script.connections += 1
        try:
            if self.script.is_implicit_tls:
                self.encrypt()
            self.answer("greeting", "220 script.example.org ESMTP")
            while self.take_command(self.read_line()):
                pass
        except (Over, OSError):
            pass
        finally:
            self.connection.close()

    # ---- bytes -------------------------------------------------------------------------------------

    def encrypt(self):
        self.connection = self.script.tls.wrap_socket(self.connection, server_side=True)
        self.is_encrypted = True

    def read_until(self, end: bytes) -> bytes:
        while end not in self.unread:
            piece = self.connection.recv(65536)
            if not piece:
                raise Over
            self.unread += piece
        taken, self.unread = self.unread.split(end, 1)
        return taken + end

    def read_line(self) -> str:
        return self.read_until(b"\r\n")[:-2].decode("latin-1")

    def misbehave(self, step: str) -> str | None:
        """The reply that a rule wants instead of the usual one; None where there is no rule."""
        return self.act(self.script.action(step))

    def act(self, action: str | None) -> str | None:
        if action == HANG:
            self.script.ending.wait()
            raise Over
        if action == CLOSE:
            raise Over
        if action == RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise Over
        if action == DRIP:
            while not self.script.ending.wait(0.1):
                self.connection.sendall(b"2")
            raise Over
        if action == HOLD:
            self.script.released.wait()
            return None
        return action

    def answer(self, step: str, usual: str) -> bool:
        """Says whether it was the usual answer or one of its kind."""
        reply = self.misbehave(step) or usual
        self.connection.sendall(reply.replace("\n", "\r\n").encode() + b"\r\n")
        if reply.startswith("421"):
            raise Over
        return reply[0] == usual[0]

    # ---- commands ----------------------------------------------------------------------------------

    def take_command(self, line: str) -> bool:
        with self.script.lock:
            self.script.commands.append(line)
        verb = line.split(" ")[0].upper()
        if verb == "EHLO":
            self.say_hello()
        elif verb == "STARTTLS":
            if self.answer("STARTTLS", "220 go ahead"):
                self.encrypt()
        elif verb == "AUTH":
            self.log_in(line)
        elif verb == "MAIL":
            self.sender = re.search("<(.*)>", line)[1]
            if self.answer("MAIL", "250 sender ok"):
                self.recipients = []
        elif verb == "RCPT":
            if self.answer("RCPT", "250 recipient ok"):
                self.recipients.append(re.search("<(.*)>", line)[1])
        elif verb == "DATA":
            if self.answer("DATA", "354 go on"):
                self.take_message()
        elif verb == "QUIT":
            self.answer("QUIT", "221 bye")
            return False
        else:
            self.answer(verb, "250 ok" if verb in ("NOOP", "RSET") else "502 what?")
        return True

    def say_hello(self):
        lines = ["script.example.org", "SIZE 1000000", "8BITMIME"]
        if self.script.offers_starttls and not self.is_encrypted:
            lines.append("STARTTLS")
        if self.script.password is not None:
            lines.append("AUTH PLAIN LOGIN")
        last = len(lines) - 1
        self.answer("EHLO", "\n".join(f"250{' ' if i == last else '-'}{text}"
                                      for i, text in enumerate(lines)))

    def log_in(self, line: str):
        reply = self.misbehave("AUTH")
        if reply is None:
            words = line.split(" ")
            if len(words) < 3:
                self.connection.sendall(b"334 \r\n")
                words.append(self.read_line())
            _, user, password = base64.b64decode(words[2]).decode().split("\0")
            is_right = password == self.script.password
            self.user = user if is_right else None
            reply = "235 welcome" if is_right else "535 5.7.8 who are you?"
        self.connection.sendall(reply.encode() + b"\r\n")

    def take_message(self):
        self.misbehave("body")
        content = self.read_until(b"\r\n.\r\n")[:-3]
        action = self.script.action("dot")
        if action in (None, HANG, HOLD, DRIP, CLOSE, RESET) or action.startswith("250"):
            with self.script.lock:
                self.script.mails.append(
                    Mail(self.sender, self.recipients, content, self.is_encrypted, self.user))
        reply = self.act(action) or "250 2.0.0 queued as 4F"
        self.connection.sendall(reply.encode() + b"\r\n")
