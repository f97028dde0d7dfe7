import { expect, it } from 'vitest'
import { Committer } from '../../src/client/committer.js'
import type { Connection } from '../../src/client/connection.js'
import type { Handled, ShardReader } from '../../src/client/shard-reader.js'
import { MillraceError } from '../../src/runtime/index.js'
import { ManualClock } from '../manual-clock.js'

/** A reader that has handled up to `next`, with one record to append. */
function readerOf(shard: number, next: number) {
  let handled: Handled | undefined
  const handle = (to: number) => {
    handled = { shard, lease: 1, next: to, ended: false, effects: new Map([['out', [`{"key":"${to}"}`]]]) }
  }
  handle(next)
  const takeHandled = () => {
    const taken = handled
    handled = undefined
    return taken
  }
  return { handle, reader: { takeHandled } as ShardReader }
}

/** A committer whose requests are answered by hand. */
function committing() {
  const clock = new ManualClock()
  const readers = new Map<number, ShardReader>()
  const sent: { body: string; answer: (error?: MillraceError) => void }[] = []
  const json = ({ body }: { body: string }) =>
    new Promise<void>((resolve, reject) => {
      sent.push({ body, answer: (error) => (error ? reject(error) : resolve()) })
    })
  const committer = new Committer({
    connection: { json } as unknown as Connection,
    clock,
    path: 'groups/g/members/m',
    commitMs: 100,
    signal: new AbortController().signal,
    readers: () => readers.values(),
    onFenced: () => {},
    onError: (error) => {
      throw error
    },
  })
  return { clock, readers, sent, committer }
}

const turns = () => new Promise<void>((resolve) => setImmediate(resolve))

it('leaves to the next membership what its readers have handled', async () => {
  const { readers, sent, committer } = committing()
  readers.set(1, readerOf(1, 10).reader)
  committer.handled(true)
  await turns()
  // While the request is repeated the daemon begins anew: the member joins again, and is given another shard.
  readers.clear()
  const next = readerOf(2, 20)
  readers.set(2, next.reader)
  sent[0]?.answer(new MillraceError('FENCED', 'The member is not known.'))
  await turns()
  expect(sent.length).toBe(1)
  expect(next.reader.takeHandled()?.next).toBe(20)
})

it('commits what is handled while another shard is given back, also when nothing follows it', async () => {
  const { clock, readers, sent, committer } = committing()
  const one = readerOf(1, 10)
  readers.set(1, one.reader)
  const flushed = committer.flush()
  await turns()
  one.handle(11)
  committer.handled(false)
  sent[0]?.answer()
  await flushed
  clock.advance(100)
  await turns()
  expect(sent.map(({ body }) => JSON.parse(body).positions[0].next)).toEqual([10, 11])
})
