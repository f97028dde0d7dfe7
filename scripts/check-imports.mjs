// Checks every import in src/ against the table of rooms in ARCHITECTURE.md. Exit 1 and a line for each that it forbids.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const allowed = new Map()
for (const line of readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8').split('\n')) {
  const row = /^\| `([\w.]+)` \|[^|]*\| ([^|]*) \|$/.exec(line)
  if (row)
    allowed.set(
      row[1],
      new Set(
        row[2]
          .split(',')
          .map((name) => name.trim())
          .filter((name) => name !== '-'),
      ),
    )
}
if (allowed.size === 0) throw new Error('ARCHITECTURE.md has no table of rooms')

const source = join(root, 'src')
const faults = []
for (const entry of readdirSync(source, { withFileTypes: true, recursive: true })) {
  if (!entry.isFile() || !entry.name.endsWith('.ts')) continue
  const file = join(entry.parentPath ?? entry.path, entry.name)
  const room = relative(source, file).split(sep)[0]
  const may = allowed.get(room)
  if (!may) {
    faults.push(`${relative(root, file)}: the room ${room} is not in ARCHITECTURE.md`)
    continue
  }
  for (const [, target] of readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(\.[^']*)'/g)) {
    const path = relative(source, join(dirname(file), target)).split(sep)
    const other = path[0]
    if (other === room) continue
    const door = path.slice(1).join('/').replace(/\.js$/, '')
    const wanted = door === 'index' ? other : `${other}/${door}`
    // Errors alone, for what is bundled into user modules: the rest of runtime brings its libraries along.
    if (other === 'runtime' && (door === 'index' || door === 'errors')) continue
    if (may.has(wanted)) continue
    faults.push(
      `${relative(root, file)}: imports ${target}${door === 'index' ? `, but ${room} may not use ${other}` : ', which is not a door'}`,
    )
  }
}
for (const fault of faults) console.error(fault)
if (faults.length > 0) process.exit(1)
console.log(`imports: ${allowed.size} rooms, none reached around`)
