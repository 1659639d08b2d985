// Tells of files as a whole, and puts `runner.cjs`, which tells of their tests, around the runner of each.
'use strict';
const state = globalThis[Symbol.for('envy.test')];
const { around } = require('./runner.cjs');
const LARGEST_TEXT = 1 << 20;

module.exports = class EnvyReporter {
  onTestFileStart(test) {
    const { testRunner } = test.context.config;
    if (!/[\\/]jest-circus[\\/]/.test(testRunner)) {
      state.tell('other-runner', { name: testRunner });
      process.exit(1);
    }
    around(testRunner);
    state.tell('file', { file: state.fileOf(test.path) });
  }

  onTestFileResult(test, result) {
    if (result.testExecError || (result.failureMessage && !result.numFailingTests)) {
      const text = result.failureMessage || result.testExecError?.stack || result.testExecError?.message;
      state.tell('bad-file', { file: state.fileOf(test.path), text: String(text).slice(0, LARGEST_TEXT) });
    }
  }

  onRunComplete() {
    state.tell('done', {});
  }

  getLastError() {}
};
