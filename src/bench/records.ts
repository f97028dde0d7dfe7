import { Codec, encodeBatch, recordHeaderBytes } from '../log/index.js'
import { type Hash64, hashKey } from '../runtime/index.js'

interface Key {
  readonly key: Buffer
  readonly hash: Hash64
}

/** Makes batches of JSON records `{"n", "price", "pad"}` over a number of keys, each key in turn. */
export class BatchMaker {
  readonly #count: number
  readonly #keys: readonly Key[]
  readonly #pad: string
  #n = 0
  /** Of one record with its header, as it lies in the log. */
  readonly recordBytes: number

  constructor(count: number, bytes: number, keys: number) {
    this.#count = count
    this.#keys = Array.from({ length: keys }, (_, i) => {
      const key = Buffer.from(`key ${i}`)
      return { key, hash: hashKey(key) }
    })
    this.#pad = 'x'.repeat(Math.max(0, bytes - 40))
    this.recordBytes = bytes + recordHeaderBytes
  }

  next(): Buffer {
    const time = Date.now()
    const records = Array.from({ length: this.#count }, () => {
      const n = this.#n++
      const { key, hash } = this.#keys[(n * 7919) % this.#keys.length] as Key
      const body = Buffer.from(`{"n":${n},"price":${n % 1000},"pad":"${this.#pad}"}`)
      return { hash, kind: 0 as const, flags: 0, codec: Codec.json, time, key, body }
    })
    return encodeBatch(records)
  }
}
