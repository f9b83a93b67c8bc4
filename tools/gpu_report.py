"""Reads what the tools of tools/gpu_check.py print, and shows what it has found as tables."""
import csv
import io
import json
import os
import re

PROFILE = re.compile(r'profile of ([\w-]+): (\d+) runs? of ([\d.]+) s')
KERNEL = re.compile(r' +([\d.]+) s +([\d.]+) % +(\d+) +([\d.]+) +[\d.]+ +([\d.]+) +(nd_k\d+)  (.*)')
# Of ncu's many numbers, what the table shows: name, unit and the columns' heads.
SHOWN = (('Duration', 'time'), ('Compute (SM) Throughput', 'SM %'), ('Memory Throughput', 'memory %'), ('DRAM Throughput', 'DRAM %'),
         ('L2 Hit Rate', 'L2 hit %'), ('Achieved Occupancy', 'occupancy %'), ('Registers Per Thread', 'registers'))


def kinks(output):
    """Gradients that single precision moves where a relu's input is at its kink, in the cases where that is known (docs/performance.md)."""
    return '; '.join(line for line in output.splitlines() if 'moved by a kink' in line)


def read_profile(output):
    """By graph its kernels, the heaviest first. GB/s are of one call."""
    graphs, rows = {}, None
    for line in output.splitlines():
        graph, kernel = PROFILE.match(line), KERNEL.match(line)
        if graph:
            rows = graphs.setdefault(graph[1], [])
        elif kernel and rows is not None:
            rows.append({'kernel': kernel[6], 'share_percent': float(kernel[2]), 'calls': int(kernel[3]), 'us': float(kernel[4]), 'gb_per_s': float(kernel[5]),
                         'for': kernel[7]})
    return graphs


def csv_of(output):
    """The table in what ncu printed: from its head on, without what the program said in between."""
    lines = output.splitlines()
    head = next((i for i, line in enumerate(lines) if line.startswith('"ID"')), len(lines))
    return ''.join(line + '\n' for line in lines[head:] if line.startswith('"'))


def read_ncu(output):
    """A row for each launch: the kernel, its grid, and all metrics with their units."""
    launches = {}
    for row in csv.DictReader(io.StringIO(csv_of(output))):
        if not row.get('Metric Name'):
            continue
        launch = launches.setdefault(row['ID'], {'kernel': row['Kernel Name'].split('(')[0], 'grid': row.get('Grid Size', ''), 'metrics': {}})
        name, unit = row['Metric Name'], row['Metric Unit']
        if launch['metrics'].get(name, ['', unit])[1] != unit:  # "Memory Throughput" is a part of the peak, and bytes a second
            name = f'{name}, {unit}'
        launch['metrics'].setdefault(name, [row['Metric Value'], unit])
    return list(launches.values())


# ---- tables ----

def show_measures(measures, say):
    for row in measures:
        rest = ', '.join(f'{key} {value}' for key, value in row.items() if key != 'measure')
        say(f'{row["measure"]}: {rest}')


def show_kernels(kernels, measures, say):
    copy = next((row['gb_per_s'] for row in measures if row['measure'] == 'copy'), None)
    for graph, rows in kernels.items():
        say(f'\nkernels of {graph}; of copy: of the bandwidth of a copy')
        say(f'{"kernel":8} {"share":>7} {"us a call":>10} {"GB/s":>8} {"of copy":>8}  for')
        for k in rows[:25]:
            part = f'{100 * k["gb_per_s"] / copy:.1f} %' if copy else '-'
            say(f'{k["kernel"]:8} {k["share_percent"]:5.1f} % {k["us"]:10.2f} {k["gb_per_s"]:8.1f} {part:>8}  {k["for"][:100]}')


def show_ncu(launches, say):
    if launches:
        say(f'\n{"kernel":8} {"grid":>16} ' + ' '.join(f'{head:>14}' for _, head in SHOWN))
    for launch in launches:
        cells = [' '.join(launch['metrics'].get(name, ['-', ''])[:2 if head == 'time' else 1]) for name, head in SHOWN]
        say(f'{launch["kernel"]:8} {launch["grid"].replace(" ", ""):>16} ' + ' '.join(f'{cell:>14}' for cell in cells))


def show_times(rows, say):
    eager = {(row['graph'], row['batch']): row['median_s'] for row in rows if row['device'] == 'torch eager'}
    say(f'\n{"text":30} {"graph":15} {"device":14} {"numbers":7} {"batch":>5} {"median":>10} {"images/s":>10} {"memory":>9} {"x eager":>8}')
    for row in rows:
        faster = eager.get((row['graph'], row['batch']))
        faster = f'{faster / row["median_s"]:.2f}' if faster else '-'
        say(f'{os.path.basename(row["text"])[:30]:30} {row["graph"]:15} {row["device"]:14} {row.get("precision", "f32"):7} {row["batch"]:5} '
            f'{1e3 * row["median_s"]:7.2f} ms {row["images_per_s"]:10.0f} {row["memory_mb"]:6.0f} MB {faster:>8}')


def show(folder, say):
    """Of all parts that lie in the folder."""
    parts = []
    for name in ('A', 'B'):
        path = os.path.join(folder, name + '.json')
        if os.path.exists(path):
            with open(path) as file:
                parts.append(json.load(file))
    together = lambda key: [row for part in parts for row in part[key]]
    for part in parts:
        say(f'\npart {part["part"]}, {part["card"]}, {part["date"]}{"" if part["finished"] else ", not finished"}')
    show_measures(together('measures'), say)
    show_kernels(parts[0]['kernels'] if parts else {}, together('measures'), say)
    show_ncu(together('ncu'), say)
    show_times(together('times'), say)
    steps = together('steps')
    count = lambda outcome: sum(step['outcome'] == outcome for step in steps)
    say(f'{len(steps)} steps, {count("WRONG")} wrong, {count("known")} known, {count("skipped")} skipped; in {folder}')
