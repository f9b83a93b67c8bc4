#!/usr/bin/env python3
"""Tables and pictures of docs/results.md: what the runs of tools/reproduce.sh came to.

    tools/results.py DIR [--table NAS_BENCH_201.csv] [--svg FILE.svg]

DIR has a folder METHOD-SEED for each run. Prints a Markdown table with a line for each run and, for methods of several seeds, their
mean and deviation; FILE.svg gets a curve of each run, by epoch. Unfinished runs are shown with the epochs that they have. What has
been trained, in DIR/trained, gets a table of its own: the accuracy of each genotype in its last epoch, over seeds."""
import argparse
import collections
import glob
import json
import os
import statistics
import subprocess
import sys

PROGRAMS = os.path.join(os.environ.get('NDARTS_BUILD', 'build'), 'bin')
# Okabe and Ito's colours, which the colour-blind can tell apart.
COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9']
WIDTH, HEIGHT, LEFT, TOP = 420, 220, 52, 34
Run = collections.namedtuple('Run', 'method seed columns curves')


def lines_of(folder, name):
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        return []
    with open(path, encoding='utf-8') as file:
        return [json.loads(line) for line in file]


def lookup(folder, table):
    done = subprocess.run([os.path.join(PROGRAMS, 'ndarts-run'), 'lookup', folder, '--table', table, '--json'], stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def is_skip(operation):
    return operation.startswith('skip_connect')


def skip_weights(folder, candidates):
    """The mean softmax weight of the skip connection by epoch; candidates: {cell: [operation, ...]}."""
    curve = []
    for line in lines_of(folder, 'alphas.jsonl'):
        weights = [row[i] for cell, names in candidates.items() for row in line[f'alphas_{cell}'] for i, name in enumerate(names) if is_skip(name)]
        curve.append((line['epoch'], statistics.mean(weights)))
    return curve


def candidates_of(folder, cells):
    with open(os.path.join(folder, 'run.json'), encoding='utf-8') as file:
        settings = json.load(file)['settings']
    return {cell: settings['space.candidates'] for cell in cells}


def read_run(folder, table):
    """The run in a folder; None while it has no epoch."""
    genotypes, metrics = lines_of(folder, 'genotypes.jsonl'), lines_of(folder, 'metrics.jsonl')
    if not genotypes:
        return None
    cells = list(genotypes[0]['cells'])
    curves = {f'skip connections, {cell} cell': [(g['epoch'], sum(is_skip(edge[0]) for edge in g['cells'][cell])) for g in genotypes] for cell in cells}
    curves['mean weight of skip connections'] = skip_weights(folder, candidates_of(folder, cells))
    curves['dominant eigenvalue'] = [(m['epoch'], m['eigenvalue']) for m in metrics if 'eigenvalue' in m]
    curves['validation accuracy, %'] = [(m['epoch'], 100 * m['valid_accuracy']) for m in metrics]
    columns = {'epochs': len(genotypes)}
    if table:
        found = lookup(folder, table)
        accuracies = [line['sets']['cifar10']['accuracy'] for line in found]
        curves['accuracy in the table, CIFAR-10, %'] = [(line['epoch'], a) for line, a in zip(found, accuracies)]
        columns.update({'found': f'`{found[-1]["architecture"]}`'.replace('|', '\\|'), 'CIFAR-10 %': accuracies[-1], 'rank': found[-1]['sets']['cifar10']['rank'],
                        'mean of the last 10 epochs': statistics.mean(accuracies[-10:]), 'best epoch': max(accuracies)})
    columns.update({name: curve[-1][1] for name, curve in curves.items() if curve and not name.startswith('accuracy')})
    method, _, seed = os.path.basename(folder).rpartition('-')
    return Run(method, seed, columns, {name: curve for name, curve in curves.items() if curve})


def shown(value):
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else f'{value:.4g}'


def rounded(value, digits):
    """Without an exponent where it is large."""
    return f'{value:.0f}' if value >= 10 ** digits else f'{value:.{digits}g}'


def print_table(runs):
    names = list(dict.fromkeys(name for run in runs for name in run.columns))
    print('| run | ' + ' | '.join(names) + ' |\n' + '| --- ' * (len(names) + 1) + '|')
    for method in dict.fromkeys(run.method for run in runs):
        own = [run for run in runs if run.method == method]
        for run in own:
            print(f'| {method}-{run.seed} | ' + ' | '.join(shown(run.columns.get(name, '')) for name in names) + ' |')
        if len(own) > 1:
            values = [[run.columns[name] for run in own if name in run.columns] for name in names]
            print(f'| **{method}, mean and deviation** | ' + ' | '.join(
                f'{rounded(statistics.mean(v), 4)} +- {rounded(statistics.stdev(v), 2)}' if len(v) > 1 and not isinstance(v[0], str) else '' for v in values) + ' |')


def parameters_of(network):
    done = subprocess.run([os.path.join(PROGRAMS, 'ndartsc'), network, '--emit=stats'], stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout.splitlines()[0].split()[-1])


def spread(values):
    return f'{statistics.mean(values):.2f} | ' + (f'{statistics.stdev(values):.2f}' if len(values) > 1 else '')


def print_trained(folders):
    """A line for each genotype that was trained, and one for each method that found several."""
    methods = collections.defaultdict(list)
    print('\n| genotype | parameters | accuracy in the last epoch by seed, % | mean | deviation |\n| --- | --- | --- | --- | --- |')
    for folder in folders:
        with open(os.path.join(folder, 'summary.json'), encoding='utf-8') as file:
            seeds = json.load(file)['seeds']
        values, name = [100 * seed['last']['accuracy'] for seed in seeds], os.path.basename(folder)
        methods[name.rpartition('-')[0]].append(values)
        parameters = parameters_of(os.path.join(folder, f'seed-{seeds[0]["seed"]}', 'network.ir'))
        print(f'| {name} | {parameters} | {", ".join(f"{value:.2f}" for value in values)} | {spread(values)} |')
    for method, genotypes in methods.items():
        if method and len(genotypes) > 1:
            print(f'| **{method}, {len(genotypes)} genotypes** | | | {spread(sum(genotypes, []))} |')


def panel(name, runs, colours, x, y):
    curves = [(run, run.curves[name]) for run in runs if name in run.curves]
    last = max(point[0] for _, curve in curves for point in curve) or 1
    low, high = (choose(point[1] for _, curve in curves for point in curve) for choose in (min, max))
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)

    def place(point):
        return f'{x + LEFT + point[0] / last * (WIDTH - LEFT - 20):.1f},{y + HEIGHT - 30 - (point[1] - low) / (high - low) * (HEIGHT - TOP - 30):.1f}'

    svg = [f'<text x="{x + LEFT}" y="{y + 22}" font-weight="bold">{name}</text>']
    for value in (low, (low + high) / 2, high):
        left, right = place((0, value)).split(','), place((last, value)).split(',')
        svg.append(f'<path d="M{left[0]},{left[1]}H{right[0]}" stroke="#ddd"/><text x="{x + LEFT - 6}" y="{float(left[1]) + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    svg += [f'<text x="{place((epoch, low)).split(",")[0]}" y="{y + HEIGHT - 12}" text-anchor="{anchor}">{label}{epoch}</text>'
            for epoch, label, anchor in ((0, 'epoch ', 'start'), (last // 2, '', 'middle'), (last, '', 'middle'))]
    svg += [f'<polyline fill="none" stroke="{colours[run.method]}" stroke-width="1.6" stroke-opacity="0.8" points="{" ".join(place(point) for point in curve)}"/>'
            for run, curve in curves]
    return svg


def picture(runs):
    methods = list(dict.fromkeys(run.method for run in runs))
    colours = {method: COLOURS[i % len(COLOURS)] for i, method in enumerate(methods)}
    names = list(dict.fromkeys(name for run in runs for name in run.curves))
    width, height = 2 * WIDTH, 30 + HEIGHT * ((len(names) + 1) // 2)
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="white"/>']
    for i, method in enumerate(methods):
        svg.append(f'<path d="M{LEFT + 110 * i},18h18" stroke="{colours[method]}" stroke-width="3"/><text x="{LEFT + 24 + 110 * i}" y="22">{method}</text>')
    for i, name in enumerate(names):
        svg += panel(name, runs, colours, WIDTH * (i % 2), 30 + HEIGHT * (i // 2))
    return '\n'.join(svg) + '\n</svg>\n'


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('folder')
    parser.add_argument('--table')
    parser.add_argument('--svg')
    arguments = parser.parse_args()
    folders = sorted(entry.path for entry in os.scandir(arguments.folder) if entry.is_dir())
    runs = [run for run in (read_run(folder, arguments.table) for folder in folders) if run]
    if not runs:
        sys.exit(f'{arguments.folder}: no run in it has an epoch')
    print_table(runs)
    trained = sorted(glob.glob(os.path.join(glob.escape(arguments.folder), 'trained', '*', 'summary.json')))
    if trained:
        print_trained([os.path.dirname(path) for path in trained])
    if arguments.svg:
        with open(arguments.svg, 'w', encoding='utf-8') as file:
            file.write(picture(runs))


if __name__ == '__main__':
    main()
