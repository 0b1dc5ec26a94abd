"""Answers POSTs as a script says. Arguments: a folder, the script (a JSON list), and certificate and key for TLS.

The folder gets `port`, `taken` (the lines that were answered with 2xx), `left` (how much of the script is left), `sent`
(bytes of the largest answer), `elsewhere` (what another server on another port was asked) and `strange`.
"""
import http.server
import json
import os
import ssl
import sys
import threading
import time

folder, script = sys.argv[1], json.loads(sys.argv[2])
lock = threading.Lock()


def note(name, text):
    with open(os.path.join(folder, name), "a") as file:
        file.write(text)


def put(name, text):
    with open(os.path.join(folder, name + ".new"), "w") as file:
        file.write(text)
    os.rename(os.path.join(folder, name + ".new"), os.path.join(folder, name))


class Elsewhere(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        note("elsewhere", f"{self.command} {self.path} {self.headers}")
        self.send_response(204)
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *_):
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        with lock:
            act = script.pop(0) if script else "take"
            put("left", str(len(script)))
        length = int(self.headers["content-length"])
        if act == "hang up":
            self.rfile.read(length // 2)
            self.close_connection = True
            return
        body = self.rfile.read(length)
        if self.headers["authorization"] != "Bearer kept-elsewhere" or self.path != "/logs?a=b":
            note("strange", f"{self.path} {self.headers}")
        if act in ("take", "slow", "endless take"):
            if act == "slow":
                time.sleep(2)
            note("taken", body.decode())
        if act == "slow" or act == "take":
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()
        elif act.startswith("endless"):
            self.send_response(200 if act == "endless take" else 400)
            self.send_header("content-length", str(100 << 20))
            self.end_headers()
            sent = 0
            try:
                while sent < 100 << 20:
                    sent += self.wfile.write(b"x" * 65536)
            except OSError:
                pass
            note("sent", f"{sent}\n")
            self.close_connection = True
        elif act.startswith("redirect"):
            self.send_response(int(act.split()[1]))
            self.send_header("location", f"http://127.0.0.1:{elsewhere.server_address[1]}/logs")
            self.send_header("content-length", "0")
            self.end_headers()
        else:
            self.send_response(int(act))
            self.send_header("content-length", "5")
            self.end_headers()
            self.wfile.write(b"oh no")

    def log_message(self, *_):
        pass


elsewhere = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
put("port", str(server.server_address[1]))
# Ends with the test.
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
