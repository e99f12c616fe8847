#!/usr/bin/python3
"""Measures replicated creates of 256 bytes beside etcd's puts: one client (latency) and 64 (throughput).

Three agents and three members of etcd keep their data on the same disk; rounds are interleaved. The same client (h2load)
asks both, etcd at its leader, over gRPC. A create is carried out at all three sites' services, which is waited for.
"""
import argparse, json, os, pathlib, shutil, subprocess, sys, tempfile, time
from sites import BODY, SERVICE, Sites, cpu, load, spread, stop, wait

NETWORK = 95
CLIENT, PEER = 12379, 12380


class Etcd:
    def __init__(self, directory, network):
        hosts = [f'127.0.{network}.{i + 11}' for i in range(3)]
        cluster = ','.join(f'm{i}=http://{host}:{PEER}' for i, host in enumerate(hosts))
        self.endpoints = [f'http://{host}:{CLIENT}' for host in hosts]
        self.members = [subprocess.Popen([
            'etcd', '--name', f'm{i}', '--data-dir', f'{directory}/etcd{i}', '--log-level', 'error', '--initial-cluster', cluster, '--initial-cluster-state', 'new',
            '--listen-client-urls', self.endpoints[i], '--advertise-client-urls', self.endpoints[i],
            '--listen-peer-urls', f'http://{host}:{PEER}', '--initial-advertise-peer-urls', f'http://{host}:{PEER}'], stderr=subprocess.DEVNULL) for i, host in enumerate(hosts)]
        # field 1, the key; field 2, the value; before them gRPC's five bytes
        message = bytes([10, 4]) + b'item' + bytes([18]) + bytes([len(BODY) & 127 | 128, len(BODY) >> 7]) + BODY
        self.put = pathlib.Path(directory, 'put')
        self.put.write_bytes(bytes([0]) + len(message).to_bytes(4, 'big') + message)
        wait('etcd has a leader', self.status)

    def status(self):
        done = subprocess.run(['etcdctl', '--endpoints', ','.join(self.endpoints), 'endpoint', 'status', '-w', 'json'],
                              capture_output=True, text=True, env={**os.environ, 'ETCDCTL_API': '3'})
        told = [one for one in json.loads(done.stdout or '[]')] if done.returncode == 0 else []
        return told if len(told) == 3 and told[0]['Status'].get('leader') else None

    def leader(self):
        told = self.status()
        return next(one['Endpoint'] for one in told if one['Status']['header']['member_id'] == one['Status']['leader'])

    def revision(self):
        return max(one['Status']['header']['revision'] for one in self.status())

    def run(self, seconds, clients):
        before = self.revision()
        rate, times = load(self.leader() + '/etcdserverpb.KV/Put', seconds, clients, self.put, ['content-type: application/grpc', 'te: trailers'], False)
        if (done := self.revision() - before) < len(times):
            raise SystemExit(f'etcd answered {len(times)} puts and made {done}')
        return rate, times


def cheops(sites, directory, seconds, clients):
    before = [sites.executed(site) for site in sites.all]
    rate, times = load(sites.url(1), seconds, clients, directory / 'body', ['content-type: application/json', f'scope: {sites.scope}'], True)
    # All sites have carried all of it out before the next one is measured.
    begun = time.time()
    wait('all sites carried it out', lambda: len({sites.executed(site) - was for site, was in zip(sites.all, before)}) == 1, 60)
    done = sites.executed(1) - before[0]
    if done < len(times):
        raise SystemExit(f'{len(times)} creates were answered and {done} carried out')
    return rate, times, time.time() - begun


def percentile(times, part):
    return times[min(len(times) - 1, int(len(times) * part))]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--cheops', required=True)
    parser.add_argument('--directory', required=True, help='where both keep their data')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=int, default=4)
    parser.add_argument('--json')
    args = parser.parse_args()
    directory = pathlib.Path(tempfile.mkdtemp(prefix='replication-', dir=pathlib.Path(args.directory).resolve()))
    directory.chmod(0o755)
    (directory / 'body').write_bytes(BODY)
    sites, etcd = Sites(args.cheops, directory, NETWORK, 3), None
    results = {name: {'rate_1': [], 'p50_1': [], 'p99_1': [], 'rate_64': [], 'p50_64': [], 'p99_64': [], 'cpu_us_64': []} for name in ('cheops', 'etcd', 'service')}
    following = []
    try:
        etcd = Etcd(directory, NETWORK)
        sites.start_all()
        wait('the group is founded', lambda: sites.create(1)[0] == 201)
        wait('all sites carried out the first', lambda: len({sites.executed(site) for site in sites.all}) == 1, 60)

        def run(name, clients):
            pids = [p.pid for p in sites.agents.values()] if name == 'cheops' else [p.pid for p in etcd.members] if name == 'etcd' else [sites.services[0].pid]
            before = sum(map(cpu, pids))
            if name == 'cheops':
                rate, times, late = cheops(sites, directory, args.seconds, clients)
                if clients == 64:
                    following.append(late)
            elif name == 'etcd':
                rate, times = etcd.run(args.seconds, clients)
            else:
                rate, times = load(f'http://{sites.host(1)}:{SERVICE}/items', args.seconds, clients, directory / 'body', ['content-type: application/json'], True)
            r = results[name]
            r[f'rate_{clients}'].append(rate)
            r[f'p50_{clients}'].append(percentile(times, 0.5))
            r[f'p99_{clients}'].append(percentile(times, 0.99))
            if clients == 64:
                r['cpu_us_64'].append((sum(map(cpu, pids)) - before) / (rate * (args.seconds + 1)) * 1e6)

        for round_number in range(args.rounds):
            print(f'  round {round_number + 1} of {args.rounds}', file=sys.stderr, flush=True)
            for clients in (1, 64):
                for name in ('cheops', 'etcd') if round_number % 2 == 0 else ('etcd', 'cheops'):
                    run(name, clients)
                if round_number == 0:
                    run('service', clients)
    finally:
        sites.close()
        if etcd:
            stop(*etcd.members)
        shutil.rmtree(directory)
    ratio = {
        'throughput_64': spread([a / b for a, b in zip(results['cheops']['rate_64'], results['etcd']['rate_64'])]),
        'latency_1': spread([b / a for a, b in zip(results['cheops']['p50_1'], results['etcd']['p50_1'])]),
    }
    rows = {name: {what: spread(values) for what, values in r.items()} for name, r in results.items()}
    document = {'rounds': args.rounds, 'seconds': args.seconds, 'ratio': ratio, 'following_s': spread(following), 'rows': rows}
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(document, indent=1))
    names = {'cheops': 'cheops, create at three sites', 'etcd': 'etcd, put', 'service': 'the service alone'}
    print('| | p50 at 1, ms (spread) | × etcd | operations/s at 64 (spread) | × etcd (spread) | p99 at 64, ms | CPU per operation, µs |')
    print('|---|---|---|---|---|---|---|')
    for name, row in rows.items():
        latency, through = ('', '') if name != 'cheops' else (
            '{median:.2f} ({low:.2f} to {high:.2f})'.format(**ratio['latency_1']), '{median:.2f} ({low:.2f} to {high:.2f})'.format(**ratio['throughput_64']))
        print(f'| {names[name]} | {{p50_1[median]:.2f}} ({{p50_1[low]:.2f}} to {{p50_1[high]:.2f}}) | {latency} | {{rate_64[median]:,.0f}} ({{rate_64[low]:,.0f}} to {{rate_64[high]:,.0f}}) | {through} | {{p99_64[median]:.1f}} | {{cpu_us_64[median]:.0f}} |'.format(**row))


main()
