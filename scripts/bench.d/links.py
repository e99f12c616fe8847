#!/usr/bin/python3
"""Measures requests through two agents to another site, beside bare NATS requests over the same kind of leaf link, and
a large download beside a copy over the same servers. Both peers are programs with the NATS client that the agent uses."""
import argparse, json, os, pathlib, re, shutil, socket, subprocess, sys, tempfile, time
from sites import get, spread, stop, wait

HOST = '127.0.94.{}'
LARGE = 1024 * 1024 * 1024


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Bare:
    """Two nats-servers with a leaf link between them, and programs that use the same client as the agent: one at each end."""

    def __init__(self, tools, directory):
        client1, client2, leaf = free_port(), free_port(), free_port()
        pathlib.Path(directory, 'a.conf').write_text(f'listen: "127.0.0.1:{client1}"\nleafnodes {{ listen: "127.0.0.1:{leaf}" }}\n')
        pathlib.Path(directory, 'b.conf').write_text(f'listen: "127.0.0.1:{client2}"\nleafnodes {{ remotes: [ {{ url: "nats-leaf://127.0.0.1:{leaf}" }} ] }}\n')
        self.tools, self.urls = tools, (f'nats://127.0.0.1:{client1}', f'nats://127.0.0.1:{client2}')
        self.processes = [subprocess.Popen(['nats-server', '-c', f'{directory}/{n}.conf'], stderr=subprocess.DEVNULL) for n in 'ab']
        for port in (client1, client2):
            wait('nats-server listens', lambda: socket.create_connection(('127.0.0.1', port), 1).close() or True)
        # Requests go from the first site to the second, as wrk's do; what is downloaded comes from the second to the first.
        self.processes += [subprocess.Popen([tools, 'nats', 'answer', url, subject]) for url, subject in ((self.urls[1], 'ask'), (self.urls[0], 'data'))]

    def _run(self, *args):
        return json.loads(subprocess.run([self.tools, 'nats', *map(str, args)], capture_output=True, text=True, check=True).stdout)

    def ask(self, seconds, at_once):
        """Requests with answers; seconds that half of them took at most, and how many there were each second."""
        told = self._run('ask', self.urls[0], 'ask', seconds, at_once)
        return told['p50_s'], told['per_second']

    def copy(self):
        """64 KiB messages, acknowledged, 32 in flight: what a careful program would write. Bytes a second."""
        return self._run('copy', self.urls[1], 'data', LARGE >> 20)['bytes_per_second']


def start_agents(cheops, directory, processes):
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
    wait('the two agents see each other', lambda: [s['state'] for s in json.loads(get(f'http://{HOST.format(1)}:17070/_cheops/v1/sites'))['sites']] == ['up', 'up'])


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
    parser.add_argument('--tools', required=True, help='the benchmarks\' program')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--json')
    args = parser.parse_args()
    directory = tempfile.mkdtemp(prefix='cheops-bench-')
    os.chmod(directory, 0o755)
    bare, processes = Bare(args.tools, directory), []
    asked, rates_asked, ours, rates, copies, loads = [], [], [], [], [], []
    try:
        start_agents(args.cheops, directory, processes)
        for round_number in range(args.rounds):
            print(f'  round {round_number + 1} of {args.rounds}', file=sys.stderr, flush=True)
            asked.append(bare.ask(2, 1)[0])
            ours.append(wrk(1, 2)[1])
            rates_asked.append(bare.ask(3, 64)[1])
            rates.append(wrk(64, 3)[0])
            copies.append(bare.copy())
            loads.append(download())
    finally:
        stop(*processes, *bare.processes)
        shutil.rmtree(directory)

    def ratio(of, to):
        return spread([a / b for a, b in zip(of, to)])

    def scaled(values, by):
        return spread([value * by for value in values])

    document = {'rounds': args.rounds, 'bare_ms': scaled(asked, 1e3), 'forwarded_ms': scaled(ours, 1e3), 'ratio': ratio(ours, asked),
                'bare_per_second_64': spread(rates_asked), 'requests_per_second_64': spread(rates), 'rate_ratio': ratio(rates, rates_asked),
                'copy_mb_s': scaled(copies, 1e-6), 'download_mb_s': scaled(loads, 1e-6), 'share': ratio(loads, copies)}
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(document, indent=1))
    print('| forwarded request, p50 at 1 (× a bare NATS request, spread) | forwarded requests/s at 64 (× bare NATS requests, spread) | 1 GB download, MB/s (× a copy over the same servers, spread) |')
    print('|---|---|---|')
    print(('| {forwarded_ms[median]:.2f} ms ({ratio[median]:.2f}, {ratio[low]:.2f} to {ratio[high]:.2f}) '
           '| {requests_per_second_64[median]:,.0f} ({rate_ratio[median]:.2f}, {rate_ratio[low]:.2f} to {rate_ratio[high]:.2f}) '
           '| {download_mb_s[median]:.0f} ({share[median]:.2f}, {share[low]:.2f} to {share[high]:.2f}) |').format(**document))


main()
