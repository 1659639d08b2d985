// Runs in a worker of vitest before a test file: writes which test begins to the file that
// ENVY_TEST_BEGUN names, since a worker that crashes or never yields tells nothing else. That only
// names tests; results come from the reporter.

import fs from 'node:fs'
import path from 'node:path'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const place = process.env.ENVY_TEST_BEGUN
if (place) {
  const required = createRequire(path.join(process.cwd(), 'package.json'))
  const folder = path.dirname(required.resolve('vitest/package.json'))
  const { beforeEach } = await import(pathToFileURL(path.join(folder, 'dist/index.js')).href)
  beforeEach(({ task }) => {
    const names = []
    for (let one = task; one && one !== task.file; one = one.suite) names.unshift(one.name)
    const file = path.relative(process.cwd(), task.file.filepath).split(path.sep).join('/')
    const row = { worker: process.env.VITEST_POOL_ID ?? '', file, name: names.join(' > ') }
    try {
      fs.appendFileSync(place, JSON.stringify(row) + '\n')
    } catch {
      // envy has ended, or the test has taken all descriptors
    }
  })
}
