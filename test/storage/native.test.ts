import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import { mend } from '../../src/storage/native.js'

const prebuilds = join(
  dirname(createRequire(import.meta.url).resolve('rocksdb/package.json')),
  'prebuilds',
  'linux-x64',
)

// That the mended module works, and sums as the original did, is shown by everything else: stores that the original wrote
// (test/fixtures), and table files whose checksums are computed in TypeScript too (table-ends.test.ts).
for (const name of ['node.napi.glibc.node', 'node.napi.musl.node']) {
  it(`all three faults are found in ${name}, and nothing else is changed`, () => {
    const original = readFileSync(join(prebuilds, name))
    const mended = mend(original, true)
    expect(mended).toMatchObject({ iteratorsVerify: true, checksumsFast: true })
    expect(mended.symbolsHidden).toBeGreaterThan(1000)
    expect(mended.bytes.length).toBe(original.length)
    // Of a hidden symbol one byte, of the iterators one, of the function at most its new bytes.
    const changed = original.reduce((count, byte, i) => count + (byte === mended.bytes[i] ? 0 : 1), 0)
    expect(changed - mended.symbolsHidden - 1).toBeGreaterThan(30)
    expect(changed - mended.symbolsHidden - 1).toBeLessThanOrEqual(48)
  })

  it(`the checksums of ${name} are left alone where the processor has no instruction, or the code is not the known one`, () => {
    const original = readFileSync(join(prebuilds, name))
    expect(mend(original, false)).toMatchObject({ iteratorsVerify: true, checksumsFast: false })
    const other = Buffer.from(original)
    const known = mend(original, true).bytes
    // The last byte of the function that differs.
    let at = other.length - 1
    while (known[at] === other[at]) at--
    other[at] = (other[at] as number) ^ 1
    expect(mend(other, true).checksumsFast).toBe(false)
  })
}
