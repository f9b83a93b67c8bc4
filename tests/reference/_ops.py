"""Every candidate operation at stride 1 and 2, with and without affine batch norm: output, gradients, statistics."""
import _common


def build(case, folder):
    affine = 'true' if case['affine'] else 'false'
    text = f'''import "darts.nd"
network main = single({case["op"]}, C={case["C"]}, stride={case["stride"]}, affine={affine}, H={case["H"]}, W={case["W"]})
'''
    result = _common.Case('ops', case['key'], text, folder)
    result.make_weights(prefix=case['op'] + '.')
    n, c, h, w = case['N'], case['C'], case['H'], case['W']
    stride = case['stride']
    result.make_feed([f'input=input:{n},{c},{h},{w}', f'grad_output=input:{n},{c},{(h + stride - 1) // stride},{(w + stride - 1) // stride}'])
    result.rules = ['output=train/logits', 'eval=eval/logits', 'grad_input=train/grad/input', 'grad/=train/grad/', 'after/=train/after/']
    return result


def main(precision):
    _common.run_all('ops', precision, build)
