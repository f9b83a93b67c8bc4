"""Second order: the gradient of the alphas and what it is made of in three search steps, as the published implementations have them. The
stand-alone pass is that of first order (_supernet.py, _methods.py)."""
import _common
import _methods
import _supernet

PASSES = {'second': 5, 'first': 2}  # of a step


def feed_entries(case):
    steps = range(1, PASSES[case.get('order', 'second')] * case['steps'] + 1)
    if case['space'] == 'darts8':
        return _methods.feed_entries(case)
    return _supernet.feed_entries(case, steps)


def build(case, folder):
    weights, alphas = case['weights'], case['alphas']
    text = f'''import "methods.nd"
{_methods.SPACES}
search {{
    space {'darts' if case['space'] == 'darts7' else case['space']}   network cifar_search(C={case["C"]}, layers={case["layers"]})
    {_supernet.noise_text(case.get("noise"))}
    {_supernet.drop_text(case.get("drop_path_on_skip"))}
    data synthetic(H={case["H"]}, W={case["W"]})
    epochs 50  batch {case["N"]}
    weights sgd(lr={weights["lr"]}, momentum={weights["momentum"]}, decay={weights["decay"]}, clip={weights["clip"]})
    alphas adam(lr={alphas["lr"]}, betas=({alphas["betas"][0]}, {alphas["betas"][1]}), decay={alphas["decay"]})
    order {case.get("order", "second")}
    paired_draws {str(case.get("paired_draws", False)).lower()}
}}
'''
    result = _common.Case('second', case['key'], text, folder)
    result.make_weights()
    result.make_feed(feed_entries(case))
    steps = case['steps'] if _common.DEVICE == 'cpu' else 1  # an emulated GPU is slow
    result.options = ['--steps', str(steps), '--epoch', str(case.get('epoch', 0))]
    result.rules = ['samples=64', '-search_update_total_norm']
    if steps < case['steps']:
        result.rules += [f'-search{step}/' for step in range(steps, case['steps'])] + ['-search_update', '-search_end']
    if case.get('order') == 'first':  # whose gradient of the alphas has no parts that a trace would tell apart
        result.rules += [f'-search{step}/grad/' for step in range(case['steps'])]
    return result


def main(precision, keys=()):
    _common.run_all('second', precision, build, lambda case: not keys or case['key'] in keys)
