#!/usr/bin/python3
"""Runs the micro-benchmarks (BenchmarkDotNet, short runs in one process) and puts what each operation takes and allocates into a table."""
import argparse, json, pathlib, re, shutil, subprocess, tempfile


def benchmarks(tools, choice):
    """What BenchmarkDotNet says of each benchmark."""
    directory = tempfile.mkdtemp(prefix='cheops-bench-')
    try:
        done = subprocess.run([tools, '--job', 'short', '--inProcess', '--filter', *choice, '--exporters', 'briefjson', '--artifacts', directory],
                              capture_output=True, text=True, cwd=directory)
        found = [one for file in sorted(pathlib.Path(directory, 'results').glob('*.json')) for one in json.loads(file.read_text())['Benchmarks']]
        if done.returncode != 0 or not found:
            raise SystemExit(f'the micro-benchmarks did not run\n{done.stdout[-4000:]}{done.stderr[-4000:]}')
        return found
    finally:
        shutil.rmtree(directory)


def row(one):
    if not (told := one.get('Statistics')):
        raise SystemExit(f'{one["FullName"]} did not run')
    return {'of': one['Type'].removesuffix('Benchmarks'), 'what': one['Method'], 'with': one.get('Parameters') or '',
            'mean_ns': told['Mean'], 'low_ns': told['Min'], 'high_ns': told['Max'], 'iterations': told['N'], 'allocated_bytes': one['Memory']['BytesAllocatedPerOperation']}


def words(name):
    """WriteUsualRequest: write usual request."""
    return re.sub('([A-Z])', r' \1', name).strip().lower()


def time_of(ns):
    return f'{ns:,.1f} ns' if ns < 1000 else f'{ns / 1e3:,.2f} µs' if ns < 1e6 else f'{ns / 1e6:,.2f} ms'


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--tools', required=True, help='the benchmarks\' program')
    parser.add_argument('--filter', nargs='+', default=['*'], help='which benchmarks, such as *Frame*')
    parser.add_argument('--json')
    args = parser.parse_args()
    rows = [row(one) for one in benchmarks(pathlib.Path(args.tools).resolve(), args.filter)]
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps({'iterations': max(one['iterations'] for one in rows), 'rows': rows}, indent=1))
    print('| | | mean (spread) | allocated, bytes |')
    print('|---|---|---|---|')
    for one in rows:
        print(f'| {words(one["of"])} | {words(one["what"])}{", " + one["with"] if one["with"] else ""} '
              f'| {time_of(one["mean_ns"])} ({time_of(one["low_ns"])} to {time_of(one["high_ns"])}) | {one["allocated_bytes"]:,} |')


main()
