import { expect, it } from 'vitest'
import { type AlignedTask, Alignment } from '../../src/workers/alignment.js'

class Source implements AlignedTask {
  readonly options: { readonly label: string }
  /** undefined: it has nothing to read. */
  at: number | undefined

  constructor(label: string, at: number | undefined) {
    this.options = { label }
    this.at = at
  }

  isBehind(sequence: number): boolean {
    return this.at !== undefined && this.at < sequence
  }
}

async function settled(promise: Promise<void>): Promise<boolean> {
  return await Promise.race([promise.then(() => true), new Promise<boolean>((resolve) => setImmediate(resolve, false))])
}

it('lets who is ahead wait until the others of its pipeline have come after it, or have nothing to read', async () => {
  const first = new Source('sums', 10)
  const second = new Source('sums', 5)
  const third = new Source('sums', 7)
  const alignment = new Alignment(() => [first, second, third, new Source('others', 1)])
  expect(alignment.align(second, 5)).toBeUndefined()
  const ahead = alignment.align(first, 10) as Promise<void>
  second.at = 10
  alignment.moved()
  expect(await settled(ahead)).toBe(false)
  third.at = undefined
  alignment.moved()
  expect(await settled(ahead)).toBe(true)
  expect(alignment.align(first, 10)).toBeUndefined()
})
