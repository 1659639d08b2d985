// Starts the jest of a project for `envy test`: `node start.cjs ARGUMENTS OF JEST`. All of it runs in
// this process, so that each event is told before the next thing happens, whatever ends the process.
// Events are lines of JSON on the descriptor in ENVY_TEST_EVENTS; tests cannot reach this module.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { createRequire } = require('node:module');

const OLDEST = 28;
const [descriptor, nonce] = (process.env.ENVY_TEST_EVENTS ?? '').split(':');
const selection = process.env.ENVY_TEST_SELECTION;
const lists = process.env.ENVY_TEST_LISTS === '1';
for (const name of ['EVENTS', 'SELECTION', 'LISTS']) delete process.env[`ENVY_TEST_${name}`];
const write = fs.writeSync; // which tests may replace

function tell(event, fields) {
  // What a test has written there by itself is a line of its own, and no event.
  let data = Buffer.from(`\n${JSON.stringify({ event, nonce, ...fields })}\n`);
  while (data.length) {
    try {
      data = data.subarray(write(Number(descriptor), data));
    } catch (error) {
      // envy has ended, or a test has closed the descriptor: what is not told has not passed.
      if (error.code !== 'EAGAIN') return;
    }
  }
}

const state = {
  tell,
  lists,
  // The tests that are to run, by file; null for all.
  wanted: selection ? JSON.parse(fs.readFileSync(selection, 'utf8')) : null,
  fileOf: (place) => path.relative(process.cwd(), place).split(path.sep).join('/'),
};
Object.defineProperty(globalThis, Symbol.for('envy.test'), { value: state });

async function main() {
  const place = createRequire(path.join(process.cwd(), 'package.json')).resolve('jest/package.json');
  const jest = createRequire(place);
  const { version } = jest(place);
  if (Number(version.split('.')[0]) < OLDEST) {
    tell('old', { version });
    return;
  }
  const { run } = jest('jest-cli');
  const own = [
    `--reporters=${path.join(__dirname, 'reporter.cjs')}`,
    '--runInBand', '--passWithNoTests', '--verbose', '--watch=false', '--watchAll=false',
  ];
  await run([...own, ...process.argv.slice(2)]);
  process.exit(); // with the code that jest has set, whatever tests have left open
}

main().catch((error) => {
  process.stderr.write(`${error?.stack ?? error}\n`);
  process.exit(1);
});
