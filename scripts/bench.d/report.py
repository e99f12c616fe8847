#!/usr/bin/python3
"""Puts the results of the parts of scripts/bench together: each part's JSON gets the machine and the versions, the tables
become one page, plots are drawn as SVG, and with --readme the page takes its place in README.md."""
import argparse, datetime, json, os, pathlib, platform, re, subprocess

TITLES = {
    'intercept': 'In front of one service (nginx, 128-byte answers, 64 connections; 1 MB answers for CPU per GB), HAProxy = 1; HAProxy with one thread and nginx with one '
                 'worker, Cheops and YARP as they come; {of}:',
    'footprint': 'Before it does anything; {of}, of one start with a link:',
    'links': 'Through two agents to another site (loopback), beside programs with the NATS client that the agent uses; {of}:',
    'replication': 'Creates of 256 bytes replicated to three sites, carried out by three services that do nothing, beside etcd with three members on the same disk '
                   '(an operation is committed twice, before it is carried out and with its outcome; etcd commits a put once); {of}, of the service alone one round:',
    'replicants': 'With many replicants and groups, {of}; after updates, from one run and over its sites; and without the leader:',
    'micro': 'Single operations (BenchmarkDotNet, {of}):',
}

# What README.md shows.
COMPARED = [part for part in TITLES if part != 'micro']


def told(*command):
    """The first line of what a program says of itself."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        return (done.stdout or done.stderr).strip().splitlines()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return 'not there'


def package(name):
    """The version of a package that the repository builds with."""
    return re.search(rf'"{name}" Version="([^"]+)"', pathlib.Path('Directory.Packages.props').read_text())[1]


def number(version):
    """The first thing in a text that looks like a version."""
    found = re.search(r'\d+(\.\d+)+', version)
    return found[0] if found else version


def machine(cheops):
    model = re.search(r'model name\s+: (.*)', pathlib.Path('/proc/cpuinfo').read_text())
    return {
        'at': datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'), 'system': f'{platform.system()} {platform.release()}',
        'cpu': model[1] if model else platform.machine(), 'cores': os.cpu_count(), 'load_average': os.getloadavg()[0],
        'memory_gib': round(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30, 1),
        'versions': {'cheops': told(cheops, 'version'), 'dotnet': told('dotnet', '--version'), 'haproxy': told('haproxy', '-v'), 'nginx': told('nginx', '-v'), 'yarp': package('Yarp.ReverseProxy'), 'NATS.Client': package('NATS.Client.Core'),
                     'etcd': told('etcd', '--version'), 'nats-server': told('nats-server', '--version'), 'wrk': told('wrk', '-v'), 'h2load': told('h2load', '--version')},
    }


def bars(title, unit, rows):
    """A plot of medians, with a line from the lowest to the highest: rows of (name, median, low, high)."""
    width, left, height = 720, 230, 34
    scale = (width - left - 110) / max(high for _, _, _, high in rows)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{50 + height * len(rows)}" font-family="sans-serif" font-size="13">',
           '<rect width="100%" height="100%" fill="white"/>', f'<text x="10" y="24" font-size="15">{title}</text>']
    for i, (name, median, low, high) in enumerate(rows):
        y = 42 + i * height
        fill = '#2a6f97' if name.startswith('cheops') else '#a9b4c2'
        out += [f'<text x="{left - 8}" y="{y + 16}" text-anchor="end">{name}</text>',
                f'<rect x="{left}" y="{y}" width="{median * scale:.1f}" height="22" fill="{fill}"/>',
                f'<line x1="{left + low * scale:.1f}" x2="{left + high * scale:.1f}" y1="{y + 11}" y2="{y + 11}" stroke="black"/>',
                f'<text x="{left + high * scale + 6:.1f}" y="{y + 16}">{median:,.4g} {unit}</text>']
    return '\n'.join(out + ['</svg>\n'])


def plots(results):
    """The plots, by name."""
    found = {}
    if of := results.get('intercept'):
        rows = [(row['peer'], row['cpu_ratio'], row['cpu_ratio_low'], row['cpu_ratio_high']) for row in sorted(of['rows'], key=lambda row: row['cpu_ratio'])]
        found['intercept'] = bars('CPU time per request, HAProxy = 1', '×', rows)
    if of := results.get('replication'):
        for what, title, unit in (('rate_64', 'Operations per second, 64 clients', '/s'), ('p50_1', 'Latency of one client, median', 'ms')):
            rows = [(name, *(of['rows'][name][what][part] for part in ('median', 'low', 'high'))) for name in ('cheops', 'etcd')]
            found[f'replication-{what}'] = bars(title, unit, rows)
    if of := results.get('replicants', {}).get('recovery'):
        names = [f'cheops, {row["replicants"]:,} ({row["ids"]})' for row in of]
        for what, title, unit in (('ready_ms', 'From exec to ready, by replicants', 'ms'), ('rss_mib', 'Memory, by replicants', 'MiB')):
            found[f'replicants-{what}'] = bars(title, unit, [(name, *(row[what][part] for part in ('median', 'low', 'high'))) for name, row in zip(names, of)])
    return found


def rounds(of):
    """How often something was measured."""
    return f'medians of {of["rounds"]} round{"s" if of["rounds"] > 1 else ""}' if 'rounds' in of else f'means of {of["iterations"]} short iterations'


def page(out, now, results, parts):
    versions = ', '.join(f'{name} {number(now["versions"][key])}' for name, key in (
        ('HAProxy', 'haproxy'), ('nginx', 'nginx'), ('YARP', 'yarp'), ('nats-server', 'nats-server'), ('etcd', 'etcd'), ('.NET', 'dotnet')))
    shown = [f'Measured {now["at"][:10]} by `scripts/bench` on {now["cpu"]}, {now["cores"]} cores, {now["system"]}; load average {now["load_average"]:.1f}. {versions}. '
             'Where there is a spread, it is from the lowest to the highest. To repeat it: `scripts/bench --rounds 3 --readme`, about ten minutes on a machine that does nothing else.']
    for part in parts:
        shown.append(f'{TITLES[part].format(of=rounds(results[part]))}\n\n{(out / f"{part}.md").read_text().strip()}')
    return '\n\n'.join(shown) + '\n'


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', required=True)
    parser.add_argument('--cheops', required=True)
    parser.add_argument('--readme', action='store_true')
    parser.add_argument('parts', nargs='+')
    args = parser.parse_args()
    out, now, results = pathlib.Path(args.out), machine(args.cheops), {}
    for part in args.parts:
        path = out / f'{part}.json'
        results[part] = json.loads(path.read_text())
        path.write_text(json.dumps({'machine': now} | results[part], indent=1))
    for name, plot in plots(results).items():
        (out / f'{name}.svg').write_text(plot)
    # Only what was measured in this run: the machine and the versions that the page tells of are today's.
    (out / 'table.md').write_text(text := page(out, now, results, [part for part in TITLES if part in results]))
    if args.readme:
        if missing := [part for part in COMPARED if part not in results]:
            raise SystemExit(f'README.md shows what was measured in one run; not measured in this one: {", ".join(missing)}')
        readme = pathlib.Path('README.md')
        compared = page(out, now, results, COMPARED)
        new, count = re.subn(r'(<!-- bench:begin -->\n).*?(<!-- bench:end -->)', lambda m: m[1] + compared + m[2], readme.read_text(), flags=re.S)
        if count != 1:
            raise SystemExit('README.md has lost its bench markers')
        readme.write_text(new)
    print(text, end='')


main()
