"""A page in headless Chromium, by its debugging pipe: what the console says, which pictures are there, what it looks like."""
import base64
import json
import os
import select
import shutil
import subprocess
import time

PROGRAM = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')


class Page:
    """with Page('page.html') as page: page.evaluate('1 + 1')"""

    def __init__(self, path, width=1280, height=900):
        self.path, self.size = os.path.abspath(path), (width, height)
        self.count, self.rest, self.messages, self.console = 0, b'', [], []

    def __enter__(self):
        to_browser, self.output = os.pipe()
        self.input, from_browser = os.pipe()

        def descriptors():
            """Commands come in on 3, answers go out on 4; neither end may stand in the way of the other."""
            first, second = os.dup(to_browser), os.dup(from_browser)
            first, second = (os.dup(first) if first < 5 else first), (os.dup(second) if second < 5 else second)
            os.dup2(first, 3)
            os.dup2(second, 4)
        self.process = subprocess.Popen(
            [PROGRAM, '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--hide-scrollbars',
             '--user-data-dir=' + os.path.abspath('browser'), '--remote-debugging-pipe', 'about:blank'],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False, preexec_fn=descriptors)
        os.close(to_browser)
        os.close(from_browser)
        target = self.call('Target.createTarget', url='about:blank', session=None)['targetId']
        self.session = self.call('Target.attachToTarget', targetId=target, flatten=True, session=None)['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self.call(f'{domain}.enable')
        self.call('Emulation.setDeviceMetricsOverride', width=self.size[0], height=self.size[1], deviceScaleFactor=1, mobile=False)
        self.call('Page.navigate', url='file://' + self.path)
        self.wait('Page.loadEventFired')
        return self

    def __exit__(self, *_):
        os.close(self.output)
        os.close(self.input)
        self.process.terminate()
        self.process.wait()

    def receive(self, deadline):
        while b'\0' not in self.rest:
            if not select.select([self.input], [], [], max(0, deadline - time.time()))[0]:
                raise OSError('the browser does not answer')
            data = os.read(self.input, 1 << 20)
            if not data:
                raise OSError('the browser has ended')
            self.rest += data
        message, self.rest = self.rest.split(b'\0', 1)
        message = json.loads(message)
        self.note(message)
        return message

    def note(self, message):
        """Everything that a developer would see in red or yellow, and whatever is fetched."""
        method, what = message.get('method'), message.get('params', {})
        if method == 'Log.entryAdded' and what['entry']['level'] in ('error', 'warning'):
            self.console.append(what['entry']['text'])
        elif method == 'Runtime.exceptionThrown':
            self.console.append(str(what['exceptionDetails']))
        elif method == 'Runtime.consoleAPICalled' and what['type'] in ('error', 'warning', 'assert'):
            self.console.append(str(what['args']))
        elif method == 'Network.requestWillBeSent' and not what['request']['url'].startswith(('data:', 'file://' + self.path)):
            self.console.append('fetches ' + what['request']['url'])
        if method:
            self.messages.append(method)

    def call(self, method, session='', **parameters):
        self.count += 1
        message = {'id': self.count, 'method': method, 'params': parameters}
        if session is not None:
            message['sessionId'] = self.session
        os.write(self.output, json.dumps(message).encode() + b'\0')
        deadline = time.time() + 60
        while True:
            answer = self.receive(deadline)
            if answer.get('id') == self.count:
                if 'error' in answer:
                    raise OSError(f'{method}: {answer["error"]}')
                return answer['result']

    def wait(self, method):
        deadline = time.time() + 60
        while method not in self.messages:
            self.receive(deadline)

    def evaluate(self, expression):
        answer = self.call('Runtime.evaluate', expression=expression, returnByValue=True, awaitPromise=True)
        if 'exceptionDetails' in answer:
            raise OSError(str(answer['exceptionDetails']))
        return answer['result'].get('value')

    def set_dark(self, dark):
        self.call('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}])

    def screenshot(self, path):
        """The whole page as a PNG."""
        picture = self.call('Page.captureScreenshot', captureBeyondViewport=True, format='png')
        with open(path, 'wb') as file:
            file.write(base64.b64decode(picture['data']))
