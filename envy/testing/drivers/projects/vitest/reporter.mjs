// Tells `envy test` what vitest does, as lines of JSON on the descriptor in ENVY_TEST_EVENTS.
// vitest loads this module as a reporter; `list.mjs` uses it to list tests.

import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const LARGEST_TEXT = 1 << 20
const [descriptor, nonce] = (process.env.ENVY_TEST_EVENTS ?? '').split(':')
delete process.env.ENVY_TEST_EVENTS

export function tell(event, fields) {
  let data = Buffer.from(JSON.stringify({ event, nonce, ...fields }) + '\n')
  try {
    while (data.length) data = data.subarray(fs.writeSync(Number(descriptor), data))
  } catch {
    // envy has ended, or a test has closed the descriptor: what is not told has not passed.
  }
}

const cut = (text) => String(text ?? '').slice(0, LARGEST_TEXT)
const fileOf = (module) => path.relative(process.cwd(), module.moduleId).split(path.sep).join('/')

function textOf(error) {
  const lines = [error.stack || `${error.name ?? 'Error'}: ${error.message}`]
  if (error.diff) lines.push(error.diff)
  return cut(lines.join('\n'))
}

// Returns the tests of a module as [id, name, mode]; another test of the same name gets a number.
export function testsOf(module) {
  const seen = new Map()
  const project = module.project?.name ? `[${module.project.name}] ` : ''
  return [...module.children.allTests()].map((test) => {
    const count = seen.get(test.fullName) ?? 0
    seen.set(test.fullName, count + 1)
    const number = count ? `#${String(count).padStart(2, '0')}` : ''
    return [test.id, `${project}${test.fullName}${number}`, test.options.mode]
  })
}

export function tellModule(module) {
  const file = fileOf(module)
  tell('tests', { file, tests: testsOf(module).map(([, name]) => name) })
  const errors = module.errors()
  if (errors.length) tell('bad-file', { file, text: errors.map(textOf).join('\n') })
}

export default class EnvyReporter {
  #names = new Map()

  onInit(vitest) {
    const setup = fileURLToPath(new URL('./setup.mjs', import.meta.url))
    for (const project of vitest.projects ?? []) project.config.setupFiles?.unshift(setup)
    tell('start', { version: vitest.version })
  }

  onTestModuleCollected(module) {
    const file = fileOf(module)
    for (const [id, name] of testsOf(module)) this.#names.set(id, [file, name])
    tell('collected', { file })
  }

  onTestModuleQueued() {
    tell('queued', {})
  }

  onTestCaseResult(test) {
    const [file, name] = this.#names.get(test.id) ?? []
    if (name === undefined) return
    const result = test.result()
    tell('result', {
      file,
      name,
      state: result.state,
      note: cut(result.note),
      seconds: (test.diagnostic()?.duration ?? 0) / 1000,
      text: (result.errors ?? []).map(textOf).join('\n'),
    })
  }

  onUserConsoleLog(log) {
    const [file, name] = this.#names.get(log.taskId) ?? []
    tell('output', { file, name, text: cut(log.content) })
  }

  onTestModuleEnd(module) {
    const errors = module.errors()
    if (errors.length) tell('bad-file', { file: fileOf(module), text: errors.map(textOf).join('\n') })
  }

  onTestRunEnd(modules, errors, reason) {
    tell('done', { reason, text: errors.map(textOf).join('\n') })
  }
}
