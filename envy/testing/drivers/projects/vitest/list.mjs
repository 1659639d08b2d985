// Lists the tests of a project, also those that are skipped: `node list.mjs ARGUMENTS OF VITEST`.

import path from 'node:path'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { tell, tellModule } from './reporter.mjs'

const required = createRequire(path.join(process.cwd(), 'package.json'))
const folder = path.dirname(required.resolve('vitest/package.json'))
const { createVitest, parseCLI, version } = await import(
  pathToFileURL(path.join(folder, 'dist/node.js')).href
)
if (Number(version.split('.')[0]) < 3) {
  tell('old', { version })
} else {
  const { filter, options } = parseCLI(['vitest', 'run', ...process.argv.slice(2)])
  const vitest = await createVitest('test', { ...options, watch: false, reporters: [{}] })
  const { testModules, unhandledErrors } = await vitest.collect(filter)
  for (const module of testModules) tellModule(module)
  tell('done', { reason: '', text: unhandledErrors.map((e) => e?.stack ?? String(e)).join('\n') })
  await vitest.close()
}
process.exit(0)
