// Runs before a test file: takes the events' descriptor from the environment, and lets the reporter
// tell of each test before its body runs. Tests that are not wanted are stopped by a hook.
'use strict';
const fs = require('node:fs');
const key = Symbol.for('envy.test');
const { setImmediate, process } = globalThis;
const given = process.env.ENVY_TEST_EVENTS || '';
const selection = process.env.ENVY_TEST_SELECTION || '';
delete process.env.ENVY_TEST_EVENTS;
delete process.env.ENVY_TEST_SELECTION;
const [descriptor, nonce] = given.split(':');

if (nonce && process.argv[1]) {
  const write = fs.writeSync;
  const stringify = JSON.stringify;
  const state = {
    current: '',
    lists: process.env.ENVY_TEST_LISTS === '1',
    wanted: selection ? new Set(JSON.parse(fs.readFileSync(selection, 'utf8'))) : null,
    isWanted(name) { return !this.lists && (this.wanted === null || this.wanted.has(name)); },
    tell(event) {
      // What a test has written there by itself is a line of its own, and no event.
      let data = Buffer.from('\n' + stringify({ ...event, nonce }) + '\n');
      while (data.length) {
        try {
          data = data.subarray(write(Number(descriptor), data));
        } catch (error) {
          if (error.code !== 'EAGAIN') return;
        }
      }
    },
  };
  delete process.env.ENVY_TEST_LISTS;
  Object.defineProperty(globalThis, key, { value: state, configurable: true });
  const { beforeEach } = require('node:test');
  beforeEach(async () => {
    await new Promise((resolve) => setImmediate(resolve));
    if (!state.isWanted(state.current)) throw new Error('envy: not selected');
  });
}
