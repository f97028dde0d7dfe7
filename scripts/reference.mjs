// Makes docs/reference, config/millrace.yaml, config/millrace.schema.json and config/grafana from the code in dist/.
//   node scripts/reference.mjs            writes what differs
//   node scripts/reference.mjs --check    exit 1 and a line for each file that differs
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cliPage } from './reference/cli.mjs'
import { configurationPage, schemaFile, yamlFile } from './reference/configuration.mjs'
import { dashboardFile } from './reference/dashboard.mjs'
import { errorsPage } from './reference/errors.mjs'
import { httpPage } from './reference/http.mjs'
import { metricsPage } from './reference/metrics.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const isCheck = process.argv.includes('--check')

const files = {
  'docs/reference/cli.md': await cliPage(),
  'docs/reference/configuration.md': configurationPage(),
  'docs/reference/errors.md': errorsPage(),
  'docs/reference/http.md': httpPage(),
  'docs/reference/metrics.md': metricsPage(),
  'config/millrace.yaml': yamlFile(),
  'config/millrace.schema.json': schemaFile(),
  'config/grafana/millrace.json': await dashboardFile(),
}

const differing = Object.entries(files).filter(([path, text]) => {
  const file = join(root, path)
  return !existsSync(file) || readFileSync(file, 'utf8') !== text
})
for (const [path, text] of differing) {
  if (!isCheck) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  console.log(isCheck ? `${path} is not what the code says: run node scripts/reference.mjs` : `wrote ${path}`)
}
if (isCheck && differing.length > 0) process.exitCode = 1
