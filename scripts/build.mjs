// Compiles src/ to dist/ when a source is newer than the last build. `--force` always compiles.
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const stamp = join(root, 'dist', '.built')

function newest(folder) {
  let time = 0
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) time = Math.max(time, statSync(join(entry.parentPath ?? entry.path, entry.name)).mtimeMs)
  }
  return time
}

const sources = Math.max(newest(join(root, 'src')), statSync(join(root, 'tsconfig.json')).mtimeMs)
if (process.argv.includes('--force') || !existsSync(stamp) || statSync(stamp).mtimeMs < sources) {
  // Into a folder of its own first: a build that fails leaves the last one as it is.
  const next = join(root, `dist.${process.pid}`)
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const compile = (project, into) => {
    const run = spawnSync(process.execPath, [tsc, '-p', project, '--outDir', into], { stdio: ['ignore', 2, 2] })
    if (run.status === 0) return
    rmSync(next, { recursive: true, force: true })
    process.exit(1)
  }
  compile(join(root, 'src'), next)
  // The console's pages run in a browser: compiled with its types instead of Node's, and sent as they are.
  const pages = join('console', 'browser')
  compile(join(root, 'src', pages), join(next, pages))
  for (const name of readdirSync(join(root, 'src', pages))) {
    if (/\.(html|css|svg)$/.test(name)) copyFileSync(join(root, 'src', pages, name), join(next, pages, name))
  }
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  renameSync(next, join(root, 'dist'))
  const main = join(root, 'dist', 'cli', 'main.cjs')
  if (existsSync(main)) chmodSync(main, 0o755)
  writeFileSync(stamp, '')
}
