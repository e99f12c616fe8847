"""Agents on loopback with a service each that does nothing, for the parts of scripts/bench that replicate."""
import base64, json, os, pathlib, re, socket, statistics, subprocess, tempfile, time, urllib.error, urllib.request

SERVICE, LISTEN, MESH, API = 18091, 18090, 17422, 17070

# A natural key: without it a mark would be made durable before each request to a service.
PROFILE = json.dumps({'profile': 'bench', 'services': {'items': {'resources': {'items': {'collection': '/items', 'naturalKey': ['name']}}}}})


def wait(what, condition, seconds=30):
    """Waits until a condition holds; what it returned."""
    end = time.time() + seconds
    while True:
        try:
            if result := condition():
                return result
        except OSError:
            pass
        if time.time() > end:
            raise SystemExit(f'{what}: not within {seconds} s')
        time.sleep(0.02)


def get(url, timeout=5):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read()


def rss(pid):
    """Resident memory of a process, in MiB."""
    return int(re.search(r'VmRSS:\s+(\d+)', pathlib.Path(f'/proc/{pid}/status').read_text())[1]) / 1024


def cpu(pid):
    """CPU time of a process, in seconds."""
    fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def stop(*processes):
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait()


def spread(values):
    """Median, lowest and highest."""
    return {'median': statistics.median(values), 'low': min(values), 'high': max(values)}


class Sites:
    """Sites whose service answers each request with 201 and a new id."""

    def __init__(self, cheops, directory, network, count, **settings):
        self.cheops, self.directory, self.network, self.count, self.settings = cheops, pathlib.Path(directory), network, count, settings
        self.agents, self.services = {}, []
        (self.directory / 'profile.json').write_text(PROFILE)
        for site in self.all:
            self.services.append(self._service(site))

    @property
    def all(self):
        return range(1, self.count + 1)

    @property
    def scope(self):
        return ' & '.join(f'Site{site}' for site in self.all)

    def host(self, site):
        return f'127.0.{self.network}.{site}'

    def _service(self, site):
        path = self.directory / f'nginx{site}.conf'
        path.write_text(f'''daemon off; worker_processes 1; error_log stderr crit; pid {self.directory}/nginx{site}.pid; events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {self.directory}/b; proxy_temp_path {self.directory}/p; fastcgi_temp_path {self.directory}/f; uwsgi_temp_path {self.directory}/u; scgi_temp_path {self.directory}/s;
server {{ listen {self.host(site)}:{SERVICE}; default_type application/json; location / {{ return 201 '{{"id":"$request_id"}}'; }} location = /count {{ stub_status; }} }} }}
''')
        return subprocess.Popen(['nginx', '-c', str(path), '-e', 'stderr'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def executed(self, site):
        """Requests that a site's service has answered; asking is one."""
        return int(get(f'http://{self.host(site)}:{SERVICE}/count').split()[9])

    def start(self, site):
        env = {k: v for k, v in os.environ.items() if not k.startswith('CHEOPS_')} | {
            'CHEOPS_SITE': f'Site{site}', 'CHEOPS_SERVICES': f'items@{self.host(site)}:{LISTEN}=http://{self.host(site)}:{SERVICE}',
            'CHEOPS_PEERS': ','.join(f'Site{other}@{self.host(other)}:{MESH}' for other in self.all if other != site), 'CHEOPS_MESH_LISTEN': f'{self.host(site)}:{MESH}',
            'CHEOPS_API_LISTEN': f'{self.host(site)}:{API}', 'CHEOPS_DATA': str(self.directory / str(site)), 'CHEOPS_PROFILES': str(self.directory / 'profile.json'), 'CHEOPS_LOG': 'error'} | self.settings
        self.agents[site] = subprocess.Popen([self.cheops, 'agent'], env=env, stderr=open(self.directory / f'agent{site}.log', 'ab'))

    def start_all(self):
        for site in self.all:
            self.start(site)
        for site in self.all:
            wait(f'Site{site} sees the others', lambda: self.sees_all(site))

    def sees_all(self, site):
        return all(s['state'] == 'up' for s in self.status(site, 'sites')['sites'])

    def status(self, site, what):
        return json.loads(get(f'http://{self.host(site)}:{API}/_cheops/v1/{what}'))

    def url(self, site):
        return f'http://{self.host(site)}:{LISTEN}/items'

    def create(self, site, scope=None, timeout=5, method='POST', path=''):
        """Creates an item; the status and the answer's body."""
        request = urllib.request.Request(self.url(site) + path, BODY, {'Content-Type': 'application/json', 'Scope': scope or self.scope}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as e:
            return e.code, e.read()

    def close(self):
        stop(*self.agents.values(), *self.services)


def load(url, seconds, clients, body, fields, http1):
    """Asks with h2load for a while; requests, the seconds they took, and each one's milliseconds. All must be answered 2xx."""
    with tempfile.NamedTemporaryFile() as log:
        out = subprocess.run(['h2load', '-c', str(clients), '-m', '1', '-t', '1', '-D', str(seconds), '--warm-up-time', '1', '-d', str(body), '--log-file', log.name]
                             + [a for field in fields for a in ('-H', field)] + (['--h1'] if http1 else []) + [url], capture_output=True, text=True, check=True).stdout
        times = []
        for line in open(log.name):
            _, status, us = line.split()
            if not status.startswith('2'):
                raise SystemExit(f'{url} answered {status}\n{out}')
            times.append(int(us) / 1000)
    if not times:
        raise SystemExit(f'{url} answered nothing\n{out}')
    return len(times) / seconds, sorted(times)


BODY = json.dumps({'name': 'x', 'data': ''}).encode()
BODY = json.dumps({'name': 'x', 'data': 'y' * (256 - len(BODY))}).encode()
