#!/usr/bin/python3
"""Measures the agent in front of one service beside HAProxy, nginx and YARP: CPU time per request, latency, memory.

Every peer stands in front of the same nginx, which answers from memory; wrk asks. Rounds are interleaved, so that
whatever else the machine does meets all peers alike; what is reported are ratios of medians, with their spread.
"""
import argparse, json, os, pathlib, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, time

HZ = os.sysconf('SC_CLK_TCK')
BACKEND, PORTS = 18080, {'haproxy': 18081, 'nginx': 18082, 'yarp': 18083, 'cheops': 18084}
HOST = '127.0.91.1'


def write(path, text):
    pathlib.Path(path).write_text(text)
    return str(path)


def tree(pid):
    pids = [pid]
    for child in pathlib.Path(f'/proc/{pid}/task').glob('*/children'):
        for number in child.read_text().split():
            pids += tree(int(number))
    return pids


def cpu(process):
    total = 0
    for pid in tree(process.pid):
        fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / HZ


def rss(process):
    return sum(int(re.search(r'VmRSS:\s+(\d+)', pathlib.Path(f'/proc/{pid}/status').read_text())[1]) for pid in tree(process.pid)) / 1024


def wait(port):
    end = time.time() + 20
    while time.time() < end:
        with socket.socket() as s:
            if s.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f'nothing listens on {HOST}:{port} after 20 s')


def wrk(port, path, connections, seconds, threads=1):
    out = subprocess.run(['wrk', '-t', str(threads), '-c', str(connections), '-d', f'{seconds}s', '--latency', f'http://{HOST}:{port}{path}'],
                         capture_output=True, text=True, check=True).stdout
    requests = int(re.search(r'(\d+) requests in', out)[1])
    if 'Socket errors' in out or 'Non-2xx' in out:
        print(f'  note, port {port}: ' + ' '.join(l.strip() for l in out.splitlines() if 'errors' in l or 'Non-2xx' in l), file=sys.stderr)
    def ms(text):
        number, unit = re.match(r'([\d.]+)(us|ms|s)', text).groups()
        return float(number) * {'us': 0.001, 'ms': 1, 's': 1000}[unit]
    return requests, ms(re.search(r'^ +50%\s+(\S+)$', out, re.M)[1]), ms(re.search(r'^ +99%\s+(\S+)$', out, re.M)[1])


def start(directory, cheops, yarp):
    nginx_main = 'daemon off; worker_processes 1; error_log stderr crit; pid {d}/{n}.pid; events {{ worker_connections 4096; }}\n'
    http = 'http {{ access_log off; client_body_temp_path {d}/b; proxy_temp_path {d}/p; fastcgi_temp_path {d}/f; uwsgi_temp_path {d}/u; scgi_temp_path {d}/s; keepalive_requests 100000000; sendfile on;\n'
    small = 'x' * 128
    (directory / 'large').write_bytes(b'y' * 1_000_000)
    write(directory / 'backend.conf', (nginx_main + http).format(d=directory, n='backend')
          + f'server {{ listen {HOST}:{BACKEND}; root {directory}; location = /small {{ return 200 "{small}"; }} }} }}')
    write(directory / 'nginx.conf', (nginx_main + http).format(d=directory, n='nginx')
          + f'upstream b {{ server {HOST}:{BACKEND}; keepalive 256; keepalive_requests 100000000; }} server {{ listen {HOST}:{PORTS["nginx"]}; location / {{ proxy_pass http://b; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }} }} }}')
    write(directory / 'haproxy.cfg', f'''global
  nbthread 1
  maxconn 4096
defaults
  mode http
  option forwardfor
  http-reuse always
  timeout client 60s
  timeout server 60s
  timeout connect 5s
frontend f
  bind {HOST}:{PORTS["haproxy"]}
  default_backend b
backend b
  server s {HOST}:{BACKEND}
''')
    quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}
    processes = {
        'backend': subprocess.Popen(['nginx', '-c', str(directory / 'backend.conf'), '-e', 'stderr'], **quiet),
        'haproxy': subprocess.Popen(['haproxy', '-f', str(directory / 'haproxy.cfg'), '-db'], **quiet),
        'nginx': subprocess.Popen(['nginx', '-c', str(directory / 'nginx.conf'), '-e', 'stderr'], **quiet),
        'cheops': subprocess.Popen([cheops, 'agent'], env={**os.environ, 'CHEOPS_SITE': 'Bench', 'CHEOPS_DATA': str(directory / 'data'),
            'CHEOPS_SERVICES': f'web@{HOST}:{PORTS["cheops"]}=http://{HOST}:{BACKEND}', 'CHEOPS_LOG': 'error'}, **quiet),
    }
    if yarp:
        processes['yarp'] = subprocess.Popen([yarp, f'http://{HOST}:{PORTS["yarp"]}', f'http://{HOST}:{BACKEND}'], **quiet)
    for name in processes:
        wait(BACKEND if name == 'backend' else PORTS[name])
    return processes


def measure(processes, rounds, seconds):
    peers = [name for name in PORTS if name in processes]
    results = {name: {'cpu_us': [], 'rps': [], 'p99_ms': [], 'p50_one_ms': [], 'cpu_s_per_gb': []} for name in peers + ['direct']}
    for round_number in range(rounds):
        print(f'  round {round_number + 1} of {rounds}', file=sys.stderr, flush=True)
        for name in peers[round_number % len(peers):] + peers[:round_number % len(peers)]:
            before = cpu(processes[name])
            requests, _, p99 = wrk(PORTS[name], '/small', 64, seconds)
            results[name]['cpu_us'].append((cpu(processes[name]) - before) / requests * 1e6)
            results[name]['rps'].append(requests / seconds)
            results[name]['p99_ms'].append(p99)
            results[name]['p50_one_ms'].append(wrk(PORTS[name], '/small', 1, max(1, seconds // 2))[1])
            before = cpu(processes[name])
            requests, _, _ = wrk(PORTS[name], '/large', 8, seconds)
            results[name]['cpu_s_per_gb'].append((cpu(processes[name]) - before) / (requests / 1000))
        results['direct']['p50_one_ms'].append(wrk(BACKEND, '/small', 1, max(1, seconds // 2))[1])
    return results


def memory(processes):
    """Resident memory at the end of a while with that many connections that ask all the time, and then with 1,024 that have asked once."""
    sizes = {}
    for name in (name for name in PORTS if name in processes):
        sizes[name] = {}
        for count in (64, 1024):
            asking = subprocess.Popen(['wrk', '-t', '1', '-c', str(count), '-d', '4s', f'http://{HOST}:{PORTS[name]}/small'], stdout=subprocess.DEVNULL)
            time.sleep(3)
            sizes[name][count] = rss(processes[name])
            if asking.wait() != 0:
                sys.exit(f'wrk failed with {count} connections to {name}')
        idle = [socket.create_connection((HOST, PORTS[name])) for _ in range(1024)]
        for s in idle:
            s.sendall(b'GET /small HTTP/1.1\r\nHost: x\r\n\r\n')
        for s in idle:
            s.recv(4096)
        sizes[name]['idle'] = rss(processes[name])
        for s in idle:
            s.close()
    return sizes


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--cheops', required=True)
    parser.add_argument('--yarp')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=int, default=4)
    parser.add_argument('--json')
    args = parser.parse_args()
    directory = pathlib.Path(tempfile.mkdtemp(prefix='cheops-bench-'))
    directory.chmod(0o755)
    processes = start(directory, args.cheops, args.yarp)
    try:
        start_rss = rss(processes['cheops'])
        sizes = memory(processes)
        results = measure(processes, args.rounds, args.seconds)
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            process.wait()
        shutil.rmtree(directory)
    med = statistics.median
    base = results['haproxy']
    direct = med(results['direct']['p50_one_ms'])
    rows = []
    for name in (name for name in PORTS if name in processes):
        r = results[name]
        ratios = sorted(a / b for a, b in zip(r['cpu_us'], base['cpu_us']))
        rows.append({
            'peer': name, 'cpu_us_per_request': med(r['cpu_us']), 'cpu_ratio': med(ratios), 'cpu_ratio_low': ratios[0], 'cpu_ratio_high': ratios[-1],
            'requests_per_second': med(r['rps']), 'p99_ms_64': med(r['p99_ms']), 'added_p50_ms_1': med(r['p50_one_ms']) - direct,
            'cpu_s_per_gb': med(r['cpu_s_per_gb']), 'gb_ratio': med(a / b for a, b in zip(r['cpu_s_per_gb'], base['cpu_s_per_gb'])),
            'rss_mib_64': sizes[name][64], 'rss_mib_1024': sizes[name][1024], 'rss_mib_1024_idle': sizes[name]['idle']})
    document = {'rounds': args.rounds, 'seconds': args.seconds, 'idle_rss_mib': start_rss, 'direct_p50_ms': direct, 'rows': rows}
    if args.json:
        write(args.json, json.dumps(document, indent=1))
    print('| | CPU per request (× HAProxy, spread) | µs | requests/s | p99 at 64, ms | added p50 at 1, ms | CPU s per GB (× HAProxy) | MiB at 64 busy connections | at 1,024 busy | at 1,024 idle |')
    print('|---|---|---|---|---|---|---|---|---|---|')
    for row in sorted(rows, key=lambda row: row['cpu_ratio']):
        print('| {peer} | {cpu_ratio:.2f} ({cpu_ratio_low:.2f} to {cpu_ratio_high:.2f}) | {cpu_us_per_request:.1f} | {requests_per_second:,.0f} | {p99_ms_64:.2f} | {added_p50_ms_1:.3f} | {cpu_s_per_gb:.2f} ({gb_ratio:.2f}) | {rss_mib_64:.1f} | {rss_mib_1024:.1f} | {rss_mib_1024_idle:.1f} |'.format(**row))


main()
