// What the benchmarks of the bridge share: a stream of JSON bodies of 200 bytes, bridges out of it, and peers beside them.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Codec, encodeBatch } from '../dist/log/index.js'
import { hashKey } from '../dist/runtime/index.js'
import { RawClient } from './raw-client.mjs'

export const bodyBytes = 200
const keys = 1000

export const keyOf = (number) => Buffer.from(`key-${number % keys}`)

/** @param at milliseconds since 1970, with fractions; a consumer tells the age by it */
export function bodyOf(number, at) {
  const random = `${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}`
  const text = `{"at":${at.toFixed(3)},"number":${number},"random":"${random}","name":"value","repeats":"in every record"`
  return Buffer.from(`${text},"fill":"${'.'.repeat(bodyBytes - text.length - 11)}"}`)
}

let made = 0
export function batchOfBodies(count) {
  const at = performance.timeOrigin + performance.now()
  return encodeBatch(
    Array.from({ length: count }, () => {
      const number = made++
      const key = keyOf(number)
      return {
        hash: hashKey(key),
        kind: 0,
        flags: 0,
        codec: Codec.json,
        time: Math.floor(at),
        key,
        body: bodyOf(number, at),
      }
    }),
  )
}

/** Fills a stream with so many records. */
export async function fill(daemon, stream, records) {
  await daemon.v1('POST', 'streams', { name: stream, shards: 1 })
  const batch = batchOfBodies(1000)
  let begun = 0
  await daemon.append(stream, batch, 4, () => ++begun > records / 1000)
}

/**
 * Appends at a rate until `isOver`, over a few connections, in batches of what is due by then.
 *
 * @param onAnswered takes the milliseconds of each request
 */
export async function appendAt(daemon, stream, perSecond, isOver, onAnswered = () => {}) {
  const headers = { 'content-type': 'application/octet-stream', 'x-millrace': '1' }
  const start = performance.now()
  let sent = 0
  const connection = async () => {
    const client = new RawClient(daemon.port)
    while (!isOver()) {
      const due = Math.min(2000, Math.floor(((performance.now() - start) / 1000) * perSecond) - sent)
      if (due <= 0) {
        await sleep(2)
        continue
      }
      sent += due
      const began = performance.now()
      const answer = await client.request('POST', `/v1/streams/${stream}/records`, headers, batchOfBodies(due))
      if (answer.status !== 200) throw new Error(`${answer.status} ${answer.body}`)
      onAnswered(performance.now() - began)
    }
    client.close()
  }
  await Promise.all(Array.from({ length: 4 }, connection))
}

/** Waits until a bridge has delivered everything, and tells how fast: from its first acknowledgement to its last one. */
export async function delivered(daemon, bridge, records) {
  let first
  for (;;) {
    const { state, statistics } = await daemon.v1('GET', `bridges/${bridge}`)
    const now = performance.now()
    if (state.kind === 'failed') throw new Error(`${state.error.message} ${state.error.remedy}`)
    if (statistics.records > 0) first ??= { records: statistics.records, now, cpu: daemon.processorTime() }
    if (statistics.records >= records) {
      const counted = statistics.records - first.records
      return {
        perSecond: counted / ((now - first.now) / 1000),
        microseconds: (daemon.processorTime() - first.cpu) / counted,
      }
    }
    await sleep(20)
  }
}

/** A peer in a process of its own. `reading` resolves when a consumer has begun, `result` with what it found. */
export function peer(options) {
  const file = fileURLToPath(new URL('kafka-peer.mjs', import.meta.url))
  const child = spawn(process.execPath, [file, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] })
  process.once('exit', () => child.kill('SIGKILL'))
  let isReading
  const reading = new Promise((resolve) => {
    isReading = resolve
  })
  const result = new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line === 'reading') isReading()
      else resolve(JSON.parse(line))
    })
    child.once('exit', (code) => reject(new Error(`the peer ended with ${code}`)))
  })
  return { reading, result }
}
