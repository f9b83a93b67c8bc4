#!/usr/bin/env python3
"""The page of ndarts-run report in headless Chromium: it loads, light and dark, narrow and wide; the console says nothing, nothing is
fetched, every picture is there. Skipped without Chromium (tools/install_deps.sh --browser installs it)."""
import shutil
import sys

import _browser
from _run import RUN, expect, main, run
from report import prepare

PICTURES = '[...document.images].map(i => [i.alt, i.complete && i.naturalWidth > 50 && i.naturalHeight > 50])'
BACKGROUND = 'getComputedStyle(document.body).backgroundColor'


def look(path, pictures):
    with _browser.Page(path) as page:
        page.evaluate('document.querySelectorAll("details").forEach(d => d.open = true)')
        page.evaluate('Promise.all([...document.images].map(i => i.decode()))')
        found = page.evaluate(PICTURES)
        expect(all(there for _, there in found), found)
        expect(len(found) == pictures or not shutil.which('gnuplot') or not shutil.which('dot'), found)
        colours = []
        for dark in (False, True):
            page.set_dark(dark)
            colours.append(page.evaluate(BACKGROUND))
        expect(colours == ['rgb(255, 255, 255)', 'rgb(22, 22, 22)'], colours)
        for width in (1280, 420):
            page.call('Emulation.setDeviceMetricsOverride', width=width, height=900, deviceScaleFactor=1, mobile=False)
            expect(page.evaluate('document.documentElement.scrollWidth') <= width, f'wider than a window of {width}')
        expect(not page.console, page.console)


def test_search():
    run(RUN, 'report', 'found', '-o', 'one.html')
    look('one.html', 6)


def test_several():
    run(RUN, 'report', 'found', 'seeds', 'trained', '-o', 'all.html')
    look('all.html', 6 + 3 * 3 + 1)


def test_can_fail():
    """What the test looks for is seen: a picture that is none, a script that fails, something from elsewhere."""
    with open('broken.html', 'w', encoding='utf-8') as file:
        file.write('<!DOCTYPE html><title>x</title><img alt="a" src="data:image/svg+xml,no"><script>nothing()</script><img src="other.png">')
    with _browser.Page('broken.html') as page:
        expect([there for _, there in page.evaluate(PICTURES)] == [False, False], 'pictures')
        said = ' '.join(page.console)
        expect('nothing is not defined' in said and 'fetches' in said and 'other.png' in said, said)


if __name__ == '__main__':
    if not _browser.PROGRAM:
        print('no Chromium here; tools/install_deps.sh --browser installs it')
        sys.exit(77)
    sys.exit(main([prepare, test_search, test_several, test_can_fail]))
