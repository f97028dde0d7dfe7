import { appendFileSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CommittedFile } from '../../src/sinks/committed-file.js'
import { type FileShape, FileSink } from '../../src/sinks/file-sink.js'
import { temporaryFolder } from '../temporary-folder.js'

const lines = (from: number, count: number) => Array.from({ length: count }, (_, i) => `line ${from + i}\n`).join('')

/** What a barrier and what follows it come to, before everything is begun again from the last commit. */
type End =
  | 'goesOn'
  /** Bytes are written, the commit never came. */
  | 'cutBeforeCommit'
  /** Committed, nothing after it was done. */
  | 'cutAfterCommit'
  /** The rename is done, and nothing after it. */
  | 'cutAfterRename'
  /** All of it is done. */
  | 'cutAfterRoll'
  /** The same, and a file that got its name was taken away by its reader. */
  | 'cutAndTaken'

const ends: readonly End[] = [
  'goesOn',
  'cutBeforeCommit',
  'cutAfterCommit',
  'cutAfterRename',
  'cutAfterRoll',
  'cutAndTaken',
]

describe('a file sink', () => {
  it.each<[string, FileShape]>([
    ['one file', {}],
    ['one file with a header', { header: 'h' }],
    ['rolled by bytes, with a header', { header: 'h', roll: { bytesMax: 40 } }],
    ['rolled by time', { roll: { everyMs: 100 } }],
    ['rolled by both', { header: 'h', roll: { bytesMax: 60, everyMs: 100 } }],
  ])('%s: has every committed line once and in order, wherever it is cut', async (_, shape) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            count: fc.integer({ min: 0, max: 6 }),
            passed: fc.integer({ min: 0, max: 80 }),
            end: fc.constantFrom(...ends),
          }),
          { maxLength: 30 },
        ),
        async (barriers) => {
          const folder = temporaryFolder()
          const path = join(folder, 'out.csv')
          let row: CommittedFile = await FileSink.create(path)
          let sink = await FileSink.open(row, shape)
          let expected = ''
          let taken = ''
          let [line, now] = [0, 1000]
          const contents = () => {
            const names = readdirSync(folder)
              .filter((name) => /^out\.\d{6}\.csv$/.test(name))
              .sort()
            return [...names, 'out.csv'].map((name) => readFileSync(join(folder, name), 'utf8'))
          }
          const takeAway = () => {
            for (const name of readdirSync(folder)
              .filter((name) => /^out\.\d{6}\.csv$/.test(name))
              .sort()) {
              taken += withoutHeader(readFileSync(join(folder, name), 'utf8'))
              rmSync(join(folder, name))
            }
          }
          const withoutHeader = (text: string) => {
            if (shape.header === undefined || text === '') return text
            expect(text.startsWith('h\n')).toBe(true)
            return text.slice(2)
          }
          for (const { count, passed, end } of barriers) {
            now += passed
            const text = lines(line, count)
            const next = await sink.append(Buffer.from(text), now)
            if (end !== 'cutBeforeCommit') {
              row = JSON.parse(JSON.stringify(next)) as CommittedFile
              expected += text
              line += count
            }
            const isWhole = end === 'goesOn' || end === 'cutAfterRoll' || end === 'cutAndTaken'
            if (isWhole) {
              sink.committed()
              await sink.settled()
            }
            if (end === 'cutAndTaken') takeAway()
            if (end === 'goesOn') continue
            await sink.close()
            if (end === 'cutAfterRename' && row.rename) renameSync(path, join(folder, row.rename.to))
            // What was under way when it was cut.
            if (end !== 'cutAfterRename' && existsSync(path)) appendFileSync(path, 'torn')
            sink = await FileSink.open(row, shape)
          }
          await sink.close()
          expect(taken + contents().map(withoutHeader).join('')).toBe(expected)
        },
      ),
      { numRuns: process.env.MILLRACE_LONG ? 5000 : 60 },
    )
  })

  it('tells when it is due though nothing is written, and when its row is behind', async () => {
    const path = join(temporaryFolder(), 'out.ndjson')
    let sink = await FileSink.open(await FileSink.create(path), { roll: { everyMs: 100 } })
    expect(sink.dueAt).toBeUndefined()
    await sink.append(Buffer.from('a\n'), 1000)
    sink.committed()
    expect(sink.dueAt).toBe(1100)
    const row = await sink.append(Buffer.alloc(0), 1100)
    expect(row.rename?.to).toBe('out.000001.ndjson')
    expect(sink.dueAt).toBeUndefined()
    sink.committed()
    await sink.settled()
    expect(sink.dueAt).toBe(0)
    await sink.close()
    sink = await FileSink.open(row, { roll: { everyMs: 100 } })
    expect(sink.dueAt).toBe(0)
    expect(await sink.append(Buffer.alloc(0), 2000)).toMatchObject({ length: 0, rolled: 1 })
    sink.committed()
    expect(sink.dueAt).toBeUndefined()
    await sink.close()
  })

  it('leaves files alone that have a name which would be next', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'out.ndjson')
    writeFileSync(join(folder, 'out.000001.ndjson'), 'mine')
    const sink = await FileSink.open(await FileSink.create(path), { roll: { bytesMax: 1 } })
    const row = await sink.append(Buffer.from('a\n'), 0)
    expect(row.rename?.to).toBe('out.000002.ndjson')
    sink.committed()
    await sink.close()
    expect(readFileSync(join(folder, 'out.000001.ndjson'), 'utf8')).toBe('mine')
  })

  it('stops for a file that is shorter than committed, or another one, before and after its rename', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'out.ndjson')
    const sink = await FileSink.open(await FileSink.create(path), { roll: { bytesMax: 4 } })
    const row = await sink.append(Buffer.from('one\ntwo\n'), 0)
    await sink.close()
    const changed = { code: 'SINK_FILE_CHANGED' }
    writeFileSync(path, 'one\n')
    await expect(FileSink.open(row, {})).rejects.toMatchObject(changed)
    writeFileSync(path, 'one\nTWO\n')
    await expect(FileSink.open(row, {})).rejects.toMatchObject(changed)
    renameSync(path, join(folder, row.rename!.to))
    await expect(FileSink.open(row, {})).rejects.toMatchObject(changed)
    writeFileSync(join(folder, row.rename!.to), 'one\ntwo\n')
    await (await FileSink.open(row, {})).close()
    expect(readFileSync(path, 'utf8')).toBe('')
  })
})
