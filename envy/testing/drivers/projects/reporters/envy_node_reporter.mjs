// A reporter of node's test runner that tells `envy test` what happens, on a descriptor of its own.
import { inspect } from 'node:util';

const state = globalThis[Symbol.for('envy.test')];
delete globalThis[Symbol.for('envy.test')];

// Names of tests that are equal get numbers, in their order.
function numbering() {
  const seen = new Map();
  return (name) => {
    const count = seen.get(name) ?? 0;
    seen.set(name, count + 1);
    return count ? `${name}#${String(count).padStart(2, '0')}` : name;
  };
}

export default async function* report(source) {
  if (!state) return;
  const queued = numbering();
  const begun = numbering();
  const levels = []; // of the results: {name, inner}
  let started = '';
  let failed = []; // paths
  const top = numbering();
  for await (const { type, data } of source) {
    if (type === 'test:enqueue' && data.nesting === 0) {
      state.tell({ event: 'item', name: queued(data.name) });
    } else if (type === 'test:dequeue' && data.nesting > 0) {
      state.path = [...state.path.slice(0, data.nesting - 1), data.name];
    } else if (type === 'test:dequeue') {
      state.current = begun(data.name);
      state.path = [];
      if (state.isWanted(state.current)) {
        state.tell({ event: 'start', name: state.current });
      }
    } else if (type === 'test:start') {
      levels.length = data.nesting;
      const number = data.nesting === 0 ? top : levels[data.nesting - 1]?.inner ?? numbering();
      levels[data.nesting] = { name: number(data.name), own: data.name, inner: numbering() };
      if (data.nesting === 0) {
        started = levels[0].name;
        failed = [];
      }
    } else if (type === 'test:pass' || type === 'test:fail') {
      const path = levels.slice(0, data.nesting + 1).map((level) => level.name);
      const names = levels.slice(0, data.nesting + 1).map((level) => level.own);
      if (!state.isWanted(started)) continue;
      if (!state.isWantedInside(started, names.slice(1))) continue;
      const { details } = data;
      const error = details?.error;
      const marked = data.skip !== undefined ? 'skip' : data.todo !== undefined ? 'todo' : '';
      let outcome = marked ? 'skip' : type === 'test:pass' ? 'pass' : 'fail';
      const byInner = error?.failureType === 'subtestsFailed';
      const failsInside = failed.some((one) => path.every((name, at) => one[at] === name));
      if (outcome === 'fail' && byInner && !failsInside) outcome = 'pass'; // by what is left out
      if (outcome === 'fail') failed.push(path);
      let text = '';
      if (marked) {
        const why = data[marked];
        text = typeof why === 'string' && why ? `${marked}: ${why}` : marked;
      }
      if (error && error.failureType !== 'subtestsFailed') {
        text += (text ? '\n' : '') + inspect(error.cause ?? error);
      }
      state.tell({ event: 'end', path, outcome, text, seconds: (details?.duration_ms ?? 0) / 1000 });
    }
  }
  state.tell({ event: 'done' });
  if (state.lists) process.reallyExit(0);
}
