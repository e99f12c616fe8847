#!/usr/bin/python3
"""Measures what replicants and groups cost: starting with many of them, groups that nobody uses, look-ups, disk after many
updates, and the time until operations are accepted again after the leader of three sites was killed."""
import argparse, http.client, json, os, pathlib, random, shutil, subprocess, sys, tempfile, threading, time
from sites import API, BODY, Sites, get, rss, spread, wait

NETWORK = 98
COUNTS = [(100_000, 'service'), (1_000_000, 'client'), (1_000_000, 'service')]


def started(cheops, directory, data, peers):
    """Starts one site on a data directory: milliseconds until it is ready, its memory then."""
    sites = Sites(cheops, directory, NETWORK, 0, CHEOPS_DATA=str(data))
    sites.count = peers
    begun = time.perf_counter()
    sites.start(1)
    try:
        wait('the site is ready', lambda: get(f'http://{sites.host(1)}:{API}/readyz'), 120)
        ready = (time.perf_counter() - begun) * 1000
        time.sleep(1)
        return ready, rss(sites.agents[1].pid)
    finally:
        sites.close()


def tool(tools, *args):
    return json.loads(subprocess.run([tools, *map(str, args)], capture_output=True, text=True, check=True).stdout)


def recoveries(args, directory):
    rows = []
    for count, ids in [(0, 'client')] + COUNTS:
        data = directory / 'replicants'
        made = tool(args.tools, 'replicants', data, count, ids) if count else {'replicants': 0, 'keys': 0, 'disk_mib': 0, 'lookup_ns': 0}
        starts = [started(args.cheops, directory, data, 3) for _ in range(args.rounds)]
        rows.append(made | {'ids': ids, 'ready_ms': spread([ms for ms, _ in starts]), 'rss_mib': spread([mib for _, mib in starts])})
        shutil.rmtree(data, ignore_errors=True)
    return rows


def idle_groups(args, directory):
    made = tool(args.tools, 'groups', directory / 'groups', 1000)
    (directory / 'none').mkdir()
    starts = [(started(args.cheops, directory, directory / 'none', 11), started(args.cheops, directory, directory / 'groups' / '1', 11)) for _ in range(args.rounds)]
    shutil.rmtree(directory / 'groups')
    return made | {'rss_mib': spread([with_them[1] for _, with_them in starts]), 'rss_mib_without': spread([without[1] for without, _ in starts]),
                   'ready_ms': spread([with_them[0] for _, with_them in starts])}


def group(sites, site):
    groups = sites.status(site, 'groups')['groups']
    return groups[0] if groups else {}


def fail_over(sites, chance):
    """Kills the leader: milliseconds until another site accepted an operation that was sent after that."""
    for site in sites.all:
        wait(f'Site{site} sees the others', lambda: sites.sees_all(site))
    client = chance.choice(list(sites.all))
    wait('an operation is accepted', lambda: sites.create(client)[0] == 201)
    leader = wait('the group has a leader', lambda: group(sites, client).get('leader'))
    killed = int(leader.removeprefix('Site'))
    if client == killed:
        client = killed % sites.count + 1
    time.sleep(chance.random())
    done, accepted = threading.Event(), []

    def attempt():
        try:
            if sites.create(client, timeout=20)[0] == 201:
                accepted.append(time.perf_counter())
                done.set()
        except (OSError, http.client.HTTPException):
            pass  # it counts for nothing

    sites.agents[killed].kill()
    begun = time.perf_counter()
    # Requests one after the other would measure how long the first one waits.
    for _ in range(1000):
        threading.Thread(target=attempt, daemon=True).start()
        if done.wait(0.01):
            break
    if not done.wait(20):
        raise SystemExit('no operation was accepted within 30 s after the leader was killed')
    sites.agents[killed].wait()
    sites.start(killed)
    return (min(accepted) - begun) * 1000


def fail_overs(args, directory):
    (directory / 'three').mkdir()
    (directory / 'three').chmod(0o755)
    chance = random.Random(args.seed)
    sites = Sites(args.cheops, directory / 'three', NETWORK, 3)
    try:
        sites.start_all()
        times = []
        for round_number in range(args.kills):
            times.append(fail_over(sites, chance))
            print(f'  kill {round_number + 1} of {args.kills}: {times[-1]:.0f} ms', file=sys.stderr, flush=True)
        return spread(times) | {'kills': args.kills, 'all_ms': times}
    finally:
        sites.close()
        shutil.rmtree(directory / 'three')


def size(path):
    return sum(os.stat(os.path.join(at, name)).st_blocks * 512 for at, _, names in os.walk(path) for name in names) / 2**20


def updates(args, directory):
    """Many updates of 1,000 replicants: what they leave on the disk of each site."""
    home = directory / 'updates'
    home.mkdir()
    home.chmod(0o755)
    (home / 'body').write_bytes(BODY)
    sites = Sites(args.cheops, home, NETWORK, 3)
    try:
        sites.start_all()
        ids = set()
        while len(ids) < 1000:
            status, answer = sites.create(1)
            if status == 201:
                ids.add(json.loads(answer)['id'])
        (home / 'urls').write_text(''.join(f'{sites.url(1)}/{one}\n' for one in sorted(ids)))
        begun = time.time()
        out = subprocess.run(['h2load', '--h1', '-c', '64', '-t', '1', '-n', str(args.updates), '-i', str(home / 'urls'), '-d', str(home / 'body'),
                              '-H', ':method: PUT', '-H', 'content-type: application/json'], capture_output=True, text=True, check=True).stdout
        if f'{args.updates} 2xx' not in out:
            raise SystemExit(f'not all updates were accepted\n{out}')
        taken = time.time() - begun
        for site in sites.all:
            wait('all sites carried it out', lambda: group(sites, site)['openOperations'] == 0, 120)
        # The next checkpoint lets go of what lies before it.
        end = time.time() + 30
        while time.time() < end:
            disk = [size(home / str(site)) for site in sites.all]
            time.sleep(1)
        return {'updates': args.updates, 'seconds': taken, 'disk_mib': spread(disk), 'rss_mib': spread([rss(agent.pid) for agent in sites.agents.values()])}
    finally:
        sites.close()
        shutil.rmtree(home)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--cheops', required=True)
    parser.add_argument('--tools', required=True, help='the benchmarks\' program')
    parser.add_argument('--directory', required=True, help='where data are kept')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--kills', type=int, default=10)
    parser.add_argument('--updates', type=int, default=20_000)
    parser.add_argument('--seed', type=int, default=random.randrange(1 << 30))
    parser.add_argument('--only', choices=['recovery', 'groups', 'failover', 'updates'])
    parser.add_argument('--json')
    args = parser.parse_args()
    print(f'  seed {args.seed}', file=sys.stderr)
    directory = pathlib.Path(tempfile.mkdtemp(prefix='replicants-', dir=pathlib.Path(args.directory).resolve()))
    directory.chmod(0o755)
    document = {'rounds': args.rounds, 'seed': args.seed}
    try:
        for name, part in {'recovery': recoveries, 'groups': idle_groups, 'failover': fail_overs, 'updates': updates}.items():
            if args.only in (None, name):
                document[name] = part(args, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(document, indent=1))
    show(document)


def show(document):
    print('| | ready after, ms (spread) | MiB (spread) | |')
    print('|---|---|---|---|')
    for row in document.get('recovery', []):
        name = f'{row["replicants"]:,} replicants, ids chosen by the {row["ids"]}' if row['replicants'] else 'no replicants'
        note = f'{row["disk_mib"]:.0f} MiB on disk; a request that is not replicated: {row["lookup_ns"]:.0f} ns' if row['replicants'] else ''
        print(f'| {name} | {{ready_ms[median]:.0f}} ({{ready_ms[low]:.0f}} to {{ready_ms[high]:.0f}}) | {{rss_mib[median]:.1f}} ({{rss_mib[low]:.1f}} to {{rss_mib[high]:.1f}}) | {note} |'.format(**row))
    if groups := document.get('groups'):
        print('| {groups:,} groups of eleven sites, asleep | {ready_ms[median]:.0f} ({ready_ms[low]:.0f} to {ready_ms[high]:.0f}) | {rss_mib[median]:.1f} ({rss_mib[low]:.1f} to {rss_mib[high]:.1f}); without them {rss_mib_without[median]:.1f} | {messages_per_second_asleep:.1f} messages/s |'.format(**groups))
    if many := document.get('updates'):
        print('| after {updates:,} updates of 1,000 replicants ({seconds:.0f} s) | | {rss_mib[median]:.1f} ({rss_mib[low]:.1f} to {rss_mib[high]:.1f}) | {disk_mib[median]:.0f} MiB on disk |'.format(**many))
    if kill := document.get('failover'):
        print('\nThe next operation accepted after `kill -9` of the leader of three sites: {median:.0f} ms ({low:.0f} to {high:.0f}, {kills} kills).'.format(**kill))


main()
