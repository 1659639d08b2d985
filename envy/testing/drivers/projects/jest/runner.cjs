// Runs a test file by the runner of jest itself, and tells of each test before and after its body.
// It listens as a test environment does, so that code of tests is not in between.
'use strict';
const state = globalThis[Symbol.for('envy.test')];
const LARGEST_TEXT = 1 << 20;
const RETRIES = Symbol.for('RETRY_TIMES');

const OF_JEST = /^\s+at .*[\\/]node_modules[\\/](?:@jest|jest-[\w-]+)[\\/]|^\s+at new Promise \(<anonymous>\)$/;

// Returns what a test has thrown, of any kind, without the frames of jest itself.
function textOf(errors) {
  const texts = errors.map((row) => {
    const [error, place] = Array.isArray(row) ? row : [row];
    try {
      if (error && typeof error === 'object' && (error.stack || error.message)) {
        return String(error.stack || error.message);
      }
      return `thrown: ${String(error)}\n${place?.stack ?? ''}`;
    } catch {
      return 'thrown: what cannot be shown';
    }
  });
  const lines = texts.join('\n\n').slice(0, LARGEST_TEXT).split('\n');
  return lines.filter((line) => !OF_JEST.test(line)).join('\n');
}

function* testsIn(block) {
  for (const child of block.children) {
    if (child.type === 'test') yield child;
    else yield* testsIn(child);
  }
}

// Returns the tests of a file with their names; another test of the same name gets a number.
function namesOf(root, project) {
  const seen = new Map();
  const names = new Map();
  for (const test of testsIn(root)) {
    const levels = [test.name];
    for (let one = test.parent; one && one !== root; one = one.parent) levels.unshift(one.name);
    const name = `${project}${levels.join(' > ')}`;
    const count = seen.get(name) ?? 0;
    seen.set(name, count + 1);
    names.set(test, count ? `${name}#${String(count).padStart(2, '0')}` : name);
  }
  return names;
}

// Skips what is not wanted, and the hooks of groups without a test that is.
function restrict(block, isWanted) {
  let some = false;
  for (const child of block.children) {
    if (child.type === 'test') {
      if (isWanted(child)) some = true;
      else child.mode = 'skip';
    } else if (restrict(child, isWanted)) {
      some = true;
    }
  }
  if (!some) block.mode = 'skip';
  return some;
}

class Listener {
  constructor(file, project, environment) {
    this.file = file;
    this.project = project;
    this.environment = environment;
    this.names = new Map();
    this.left = new Set(); // what is not wanted
    this.held = new Map(); // failures of tests that may run again
  }

  tell(event, test, fields) {
    const name = this.names.get(test);
    if (name !== undefined && !this.left.has(test)) state.tell(event, { file: this.file, name, ...fields });
  }

  take(event, circus) {
    const { test } = event;
    switch (event.name) {
      case 'run_start':
        this.begin(circus.rootDescribeBlock);
        break;
      case 'test_start':
        this.tell('start', test);
        break;
      case 'test_skip':
      case 'test_todo':
        this.tell('end', test, { outcome: 'skip' });
        break;
      case 'test_done':
        this.end(test, circus);
        break;
      case 'run_finish':
        for (const [held, fields] of this.held) this.tell('end', held, fields);
        this.held.clear();
        break;
    }
  }

  begin(root) {
    this.names = namesOf(root, this.project);
    if (state.lists) {
      state.tell('tests', { file: this.file, tests: [...this.names.values()] });
      for (const test of this.names.keys()) this.left.add(test);
    } else if (state.wanted) {
      const wanted = new Set(state.wanted[this.file] ?? []);
      for (const [test, name] of this.names) if (!wanted.has(name)) this.left.add(test);
    }
    if (this.left.size) restrict(root, (test) => !this.left.has(test));
    // One after another, so that what ends the process is known to be the test that runs.
    for (const test of this.names.keys()) test.concurrent = false;
  }

  end(test, circus) {
    const seconds = (test.duration ?? 0) / 1000;
    if (!test.errors.length) {
      this.held.delete(test);
      this.tell('end', test, { outcome: 'pass', seconds });
      return;
    }
    const fields = { outcome: 'fail', seconds, text: textOf(test.errors) };
    if (this.environment.global?.[RETRIES] || circus.describeRetryOptions?.size) {
      this.held.set(test, fields);
      this.tell('again', test);
    } else {
      this.tell('end', test, fields);
    }
  }
}

const surrounded = new Set(); // modules

// Lets a runner of jest, by the path of its module, tell of tests. jest takes what is loaded already.
exports.around = (place) => {
  if (surrounded.has(place)) return;
  surrounded.add(place);
  const found = require(place);
  const run = found.default ?? found;
  const resolved = require.resolve(place);
  require.cache[resolved].exports = async (globalConfig, config, environment, ...rest) => {
    const name = config.displayName?.name;
    const listener = new Listener(state.fileOf(rest[1]), name ? `[${name}] ` : '', environment);
    const before = environment.handleTestEvent;
    environment.handleTestEvent = async (event, circus) => {
      listener.take(event, circus);
      if (before) await before.call(environment, event, circus);
    };
    return run(globalConfig, config, environment, ...rest);
  };
};
