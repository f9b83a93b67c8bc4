"""NoisyDARTS-A, the ImageNet model: evaluation at full size; loss and gradients of a small one."""
import _common


def build(case, folder):
    arguments = f'classes={case["classes"]}, H={case["H"]}, W={case["W"]}'
    text = f'import "noisy_darts_A_imagenet.nd"\nnetwork main = mobile_blocks(noisy_darts_A_blocks, {arguments})\n'
    result = _common.Case('noisy_darts_A_imagenet', case['key'], text, folder)
    result.make_weights(variance_scale='0.6')
    entries = [f'input=input:{case["N"]},3,{case["H"]},{case["W"]}']
    if case['key'] == 'transfer_small':
        entries.append(f'labels=label/{case["classes"]}:{case["N"]}')
    result.make_feed(entries)
    return result


def main(precision):
    _common.run_all('noisy_darts_A_imagenet', precision, build)
