"""What both services of the sample application need to speak JSON over HTTP: a server and a client, nothing more."""

import json
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Refused(Exception):
    """A request that is answered with an error: raise Refused(404, 'no such item')."""

    def __init__(self, status, error):
        super().__init__(error)
        self.status, self.error = status, error


def serve(address, routes):
    """Serves until killed. routes(method, path, body, headers) gives (status, JSON value), or raises Refused."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def handle_any(self):
            data = self.rfile.read(int(self.headers.get('Content-Length') or 0))
            try:
                body = json.loads(data) if data else None
                status, value = routes(self.command, self.path, body, self.headers)
            except Refused as refused:
                status, value = refused.status, {'error': refused.error}
            except (ValueError, TypeError, KeyError) as mistake:
                status, value = 400, {'error': f'not understood: {mistake!r}'}
            answer = json.dumps(value).encode() + b'\n'
            self.send_response(status)
            self.send_header('Content-Type', 'application/json')
            self.send_header('Content-Length', str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PUT = do_DELETE = handle_any

        def log_message(self, text, *values):
            print(f'{self.address_string()} {text % values}', flush=True)

    host, port = address.split(':')
    ThreadingHTTPServer((host, int(port)), Handler).serve_forever()


def ask(method, url, body=None, headers=None):
    """Asks another service; a refusal there is a refusal here."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {'Content-Type': 'application/json', **(headers or {})}, method=method)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        reason = json.load(error)
        raise Refused(error.code, reason.get('error') or reason.get('detail')) from None
    except OSError as error:
        raise Refused(502, f'{url}: {error}') from None
