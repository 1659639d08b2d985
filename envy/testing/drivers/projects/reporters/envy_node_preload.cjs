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
  const selected = selection ? JSON.parse(fs.readFileSync(selection, 'utf8')) : {};
  const expressions = (rows) => Object.fromEntries(Object.entries(rows ?? {}).map(
    ([name, alternatives]) => [name, alternatives.map((levels) => levels.map((one) => new RegExp(one)))],
  ));
  const inner = expressions(selected.inner);
  const skipped = expressions(selected.skipped);
  const matches = (levels, path) => path.every((name, at) => at >= levels.length || levels[at].test(name));
  const state = {
    current: '',
    path: [], // of the subtest that runs, below the current test
    lists: process.env.ENVY_TEST_LISTS === '1',
    wanted: selected.names ? new Set(selected.names) : null,
    // Whether a subtest runs: patterns match it level by level; what is below a match runs, too.
    isWantedInside(name, path) {
      const kept = inner[name];
      if (kept && !kept.some((levels) => matches(levels, path))) return false;
      return !(skipped[name] ?? []).some(
        (levels) => path.length >= levels.length && matches(levels, path),
      );
    },
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
  if (state.lists) process.on('uncaughtExceptionMonitor', () => state.tell({ event: 'unloaded' }));
  Object.defineProperty(globalThis, key, { value: state, configurable: true });
  const { beforeEach } = require('node:test');
  beforeEach(async () => {
    await new Promise((resolve) => setImmediate(resolve));
    if (!state.isWanted(state.current) || !state.isWantedInside(state.current, state.path)) {
      throw new Error('envy: not selected');
    }
  });
}
