"""Search methods (genotypes/methods.nd): a pass with all gradients, then search steps, as the published implementations have them."""
import _common
import _supernet

# As the published supernets name what is behind a pool: Sequential(pool, batch_norm).
SPACES = '''
op max_pool_bn(C, stride) = { max_pool(3, stride, 1) | batch_norm }
op avg_pool_bn(C, stride) = { avg_pool(3, stride, 1) | batch_norm }
let seven = [max_pool_bn, avg_pool_bn, skip_connect, sep_conv_3x3, sep_conv_5x5, dil_conv_3x3, dil_conv_5x5]
space darts7b { candidates = seven  cell { inputs 2  nodes 4  output concat(nodes)  keep 2 per node } }
space darts8 { candidates = [none] + seven  cell { inputs 2  nodes 4  output concat(nodes)  keep 2 per node } }
'''
METHODS = {
    'fair_darts/l2': 'fair_darts',
    'fair_darts/l1': 'fair_darts_l1',
    'darts_minus': 'darts_minus',
    'beta_darts': 'beta_darts',
    'pc_darts': 'pc_darts',
    'snas/darts8': 'snas(1, 1)',
    'gumbel_hard_all/darts8': 'gumbel_straight_through(1, 1)',
    'gdas/darts8': 'gdas(10, 10)',
}
PASSES = 8  # the stand-alone one, two for each of three steps, the evaluation
# What is computed on the way, without a name in ndarts: the loss is their sum; and the gradients that Adam took.
PARTS = ['-cross_entropy', '-zero_one', '-regulariser', '-grad_regulariser', '-grad_total_norm', '-probabilities/', '-index/',
         '-search_update_total_norm']
STEP_PARTS = ['grad/', 'valid_cross_entropy', 'zero_one', 'regulariser', 'beta']


def feed_entries(case):
    n, columns = case['N'], 8 if case['space'] == 'darts8' else 7
    entries = []
    for which in ('', '_valid'):
        entries.append(f'input{which}=input:{n},3,{case["H"]},{case["W"]}')
        entries.append(f'labels{which}=label/{case["classes"]}:{n}')
    for name in ('alphas_normal', 'alphas_reduce'):
        shape = f'{_supernet.EDGES},{columns}'
        entries.append(f'{name}=unit:{shape}')
        if 'tau' in case:
            entries += [f'gumbel.{name}.step{step}=gumbel:{shape}' for step in range(PASSES)]
    return entries


def rules(case):
    steps = [f'search{step}/' for step in range(case.get('steps', 0))]
    # The loss of the weights has no penalty here; the published one has, without effect on the weights.
    losses = [f'{step}train_cross_entropy={step}train_loss' for step in steps] if case['method'] == 'fair_darts' else []
    return (['samples=64'] + PARTS + [f'-{step}{part}' for step in steps for part in STEP_PARTS] + losses +
            ([f'-{step}train_loss' for step in steps] if losses else []))


def build(case, folder, file='methods'):
    weights, alphas = case.get('weights', {'lr': 0.025, 'clip': 5}), case.get('alphas', {'lr': 3e-4, 'betas': [0.5, 0.999]})
    text = f'''import "methods.nd"
{SPACES}
search {{
    space {case["space"]}   network cifar_search(C={case["C"]}, layers={case["layers"]})
    method {METHODS[case["key"]]}
    data synthetic(H={case["H"]}, W={case["W"]})
    epochs 50  batch {case["N"]}
    weights sgd(lr={weights["lr"]}, momentum=0.9, decay=3e-4, clip={weights["clip"]})
    alphas adam(lr={alphas["lr"]}, betas=({alphas["betas"][0]}, {alphas["betas"][1]}), decay=1e-3)
}}
'''
    result = _common.Case(file, case['key'], text, folder)
    result.make_weights()
    result.make_feed(feed_entries(case))
    result.options = ['--steps', str(case.get('steps', 0)), '--epoch', str(case.get('epoch', 0)), '--epoch-per-step']
    result.rules = rules(case)
    return result


def main(precision):
    _common.run_all('methods', precision, build)
