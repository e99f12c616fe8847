#!/usr/bin/python3
"""Measures what the agent takes before it does anything: size, memory alone and with a link, time from exec to ready."""
import argparse, json, os, pathlib, re, shutil, statistics, subprocess, tempfile, time, urllib.request

HOST = '127.0.93.{}'


def status(pid, field):
    return int(re.search(field + r':\s+(\d+)', pathlib.Path(f'/proc/{pid}/status').read_text())[1]) / 1024


def children(pid):
    return [int(n) for c in pathlib.Path(f'/proc/{pid}/task').glob('*/children') for n in c.read_text().split()]


def start(cheops, directory, site, peers):
    env = {k: v for k, v in os.environ.items() if not k.startswith('CHEOPS_')}
    env |= {'CHEOPS_SITE': f'Site{site}', 'CHEOPS_SERVICES': f'web@{HOST.format(site)}:18090=http://{HOST.format(site)}:18091',
            'CHEOPS_API_LISTEN': f'{HOST.format(site)}:17070', 'CHEOPS_DATA': f'{directory}/{site}', 'CHEOPS_LOG': 'error'}
    if peers:
        env |= {'CHEOPS_PEERS': ','.join(f'Site{p}@{HOST.format(p)}:17422' for p in peers), 'CHEOPS_MESH_LISTEN': f'{HOST.format(site)}:17422'}
    begun = time.perf_counter()
    process = subprocess.Popen([cheops, 'agent'], env=env, stderr=subprocess.DEVNULL)
    while True:
        try:
            with urllib.request.urlopen(f'http://{HOST.format(site)}:17070/readyz', timeout=1) as answer:
                if answer.status == 200:
                    return process, (time.perf_counter() - begun) * 1000
        except OSError:
            if time.perf_counter() - begun > 20:
                raise
            time.sleep(0.001)


def stop(*processes):
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--cheops', required=True)
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--json')
    args = parser.parse_args()
    directory = tempfile.mkdtemp(prefix='cheops-bench-')
    try:
        ready, alone = [], []
        for _ in range(args.rounds):
            process, ms = start(args.cheops, directory, 1, [])
            ready.append(ms)
            time.sleep(5)  # idle: what only the start needed is given back by now
            alone.append(status(process.pid, 'VmRSS'))
            stop(process)
        one, _ = start(args.cheops, directory, 1, [2])
        two, _ = start(args.cheops, directory, 2, [1])
        time.sleep(5)
        linked, anonymous = status(one.pid, 'VmRSS'), status(one.pid, 'RssAnon')
        server = sum(status(child, 'VmRSS') for child in children(one.pid))
        stop(one, two)
    finally:
        shutil.rmtree(directory)
    document = {'rounds': args.rounds, 'size_mib': os.path.getsize(args.cheops) / 2**20, 'ready_ms': statistics.median(ready), 'ready_ms_low': min(ready), 'ready_ms_high': max(ready),
                'rss_mib_alone': statistics.median(alone), 'rss_mib_linked': linked, 'anonymous_mib_linked': anonymous, 'rss_mib_nats_server': server}
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(document, indent=1))
    print('| executable, MB | exec to ready, ms (spread) | idle, alone, MiB | idle, one link, MiB (of it not of the executable and libraries) | with its nats-server, MiB |')
    print('|---|---|---|---|---|')
    print(f'| {os.path.getsize(args.cheops) / 1e6:.1f} | {document["ready_ms"]:.0f} ({min(ready):.0f} to {max(ready):.0f}) | {document["rss_mib_alone"]:.1f} | {linked:.1f} ({anonymous:.1f}) | {linked + server:.1f} |')


main()
