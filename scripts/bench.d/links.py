#!/usr/bin/python3
"""Measures requests through two agents to another site, beside bare NATS requests over the same kind of leaf link, and
a large download beside a copy over the same servers."""
import argparse, json, os, pathlib, re, shutil, socket, statistics, subprocess, tempfile, threading, time, urllib.request

HOST = '127.0.94.{}'
LARGE = 1024 * 1024 * 1024


class Nats:
    """Just enough of NATS' client protocol for a bare request and reply, and a bare copy with acknowledgements."""

    def __init__(self, port):
        self.socket = socket.create_connection(('127.0.0.1', port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile('rb', buffering=1 << 18)
        self.file.readline()
        self.socket.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\nPING\r\n')
        while self.file.readline() != b'PONG\r\n':
            pass

    def subscribe(self, subject):
        self.socket.sendall(f'SUB {subject} 1\r\nPING\r\n'.encode())
        while self.file.readline() != b'PONG\r\n':
            pass

    def publish(self, subject, payload, reply=''):
        self.socket.sendall(f'PUB {subject} {reply + " " if reply else ""}{len(payload)}\r\n'.encode() + payload + b'\r\n')

    def next(self):
        while True:
            line = self.file.readline()
            if not line:
                raise EOFError
            if line == b'PING\r\n':
                self.socket.sendall(b'PONG\r\n')
            elif line.startswith(b'MSG'):
                words = line.split()
                payload = self.file.read(int(words[-1]) + 2)[:-2]
                return words[3].decode() if len(words) == 5 else '', payload


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def bare_servers(directory):
    client1, client2, leaf = free_port(), free_port(), free_port()
    pathlib.Path(directory, 'a.conf').write_text(f'listen: "127.0.0.1:{client1}"\nleafnodes {{ listen: "127.0.0.1:{leaf}" }}\n')
    pathlib.Path(directory, 'b.conf').write_text(f'listen: "127.0.0.1:{client2}"\nleafnodes {{ remotes: [ {{ url: "nats-leaf://127.0.0.1:{leaf}" }} ] }}\n')
    servers = [subprocess.Popen(['nats-server', '-c', f'{directory}/{n}.conf'], stderr=subprocess.DEVNULL) for n in 'ab']
    time.sleep(2)
    return servers, client1, client2


def bare_request(port1, port2, seconds):
    server, client = Nats(port2), Nats(port1)
    server.subscribe('ask')
    client.subscribe('answer')
    time.sleep(0.5)

    def serve():
        try:
            while True:
                reply, _ = server.next()
                server.publish(reply, b'x' * 350)
        except (EOFError, OSError, ValueError):
            pass

    threading.Thread(target=serve, daemon=True).start()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.perf_counter()
        client.publish('ask', b'y' * 350, 'answer')
        client.next()
        times.append(time.perf_counter() - begun)
    server.socket.shutdown(socket.SHUT_RDWR)
    return statistics.median(times)


def bare_copy(port1, port2):
    """64 KiB messages, acknowledged, 32 in flight: what a careful program would write."""
    server, client = Nats(port2), Nats(port1)
    client.subscribe('data')
    server.subscribe('ack')
    time.sleep(0.5)
    chunk, count = b'z' * 65536, LARGE // 65536

    def send():
        for i in range(count):
            server.publish('data', chunk)
            if i >= 32:
                server.next()

    begun = time.perf_counter()
    threading.Thread(target=send, daemon=True).start()
    for _ in range(count):
        client.next()
        client.publish('ack', b'')
    return LARGE / (time.perf_counter() - begun)


def agents(cheops, directory):
    processes = []
    with open(pathlib.Path(directory, 'large'), 'wb') as large:
        large.truncate(LARGE)
    pathlib.Path(directory, 'nginx.conf').write_text(
        f'daemon off; worker_processes 1; error_log stderr crit; pid {directory}/nginx.pid; events {{ }}\n'
        f'http {{ access_log off; sendfile on; keepalive_requests 100000000; server {{ listen {HOST.format(2)}:18091; root {directory}; location = /small {{ return 200 "{"x" * 128}"; }} }} }}\n')
    processes.append(subprocess.Popen(['nginx', '-c', f'{directory}/nginx.conf', '-e', 'stderr'], stderr=subprocess.DEVNULL))
    for site, other in ((1, 2), (2, 1)):
        env = {k: v for k, v in os.environ.items() if not k.startswith('CHEOPS_')} | {
            'CHEOPS_SITE': f'Site{site}', 'CHEOPS_SERVICES': f'web@{HOST.format(site)}:18090=http://{HOST.format(site)}:18091',
            'CHEOPS_PEERS': f'Site{other}@{HOST.format(other)}:17422', 'CHEOPS_MESH_LISTEN': f'{HOST.format(site)}:17422',
            'CHEOPS_API_LISTEN': f'{HOST.format(site)}:17070', 'CHEOPS_DATA': f'{directory}/{site}', 'CHEOPS_LOG': 'error'}
        processes.append(subprocess.Popen([cheops, 'agent'], env=env, stderr=subprocess.DEVNULL))
    end = time.time() + 20
    while True:
        try:
            with urllib.request.urlopen(f'http://{HOST.format(1)}:17070/_cheops/v1/sites', timeout=1) as answer:
                if [s['state'] for s in json.load(answer)['sites']] == ['up', 'up']:
                    return processes
        except OSError:
            pass
        if time.time() > end:
            raise SystemExit('the two agents did not see each other within 20 s')
        time.sleep(0.05)


def wrk(connections, seconds):
    out = subprocess.run(['wrk', '-t', '1', '-c', str(connections), '-d', f'{seconds}s', '--latency', f'http://{HOST.format(1)}:18090/@Site2/small'],
                         capture_output=True, text=True, check=True).stdout
    number, unit = re.search(r'^ +50%\s+([\d.]+)(us|ms|s)$', out, re.M).groups()
    return float(re.search(r'Requests/sec:\s+([\d.]+)', out)[1]), float(number) * {'us': 1e-6, 'ms': 1e-3, 's': 1}[unit]


def download():
    begun = time.perf_counter()
    subprocess.run(['curl', '-sf', '-o', '/dev/null', f'http://{HOST.format(1)}:18090/@Site2/large'], check=True)
    return LARGE / (time.perf_counter() - begun)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--cheops', required=True)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--json')
    args = parser.parse_args()
    directory = tempfile.mkdtemp(prefix='cheops-bench-')
    os.chmod(directory, 0o755)
    servers, port1, port2 = bare_servers(directory)
    processes = agents(args.cheops, directory)
    bare, ours, rates, copies, loads = [], [], [], [], []
    try:
        for _ in range(args.rounds):
            bare.append(bare_request(port1, port2, 2))
            ours.append(wrk(1, 2)[1])
            rates.append(wrk(64, 3)[0])
            copies.append(bare_copy(port1, port2))
            loads.append(download())
    finally:
        for process in processes + servers:
            process.terminate()
        for process in processes + servers:
            process.wait()
        shutil.rmtree(directory)
    med = statistics.median
    ratios = sorted(a / b for a, b in zip(ours, bare))
    shares = sorted(a / b for a, b in zip(loads, copies))
    document = {'bare_ms': med(bare) * 1e3, 'forwarded_ms': med(ours) * 1e3, 'ratio': med(ratios), 'requests_per_second_64': med(rates),
                'copy_mb_s': med(copies) / 1e6, 'download_mb_s': med(loads) / 1e6, 'share': med(shares)}
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(document, indent=1))
    print('| forwarded request, p50 at 1 (× a bare NATS request, spread) | forwarded requests/s at 64 | 1 GB download, MB/s (× a copy over the same servers, spread) |')
    print('|---|---|---|')
    print(f'| {med(ours) * 1e3:.2f} ms ({med(ratios):.2f}, {ratios[0]:.2f} to {ratios[-1]:.2f}) | {med(rates):,.0f} | {med(loads) / 1e6:.0f} ({med(shares):.2f}, {shares[0]:.2f} to {shares[-1]:.2f}) |')


main()
