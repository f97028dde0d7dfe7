import { MillraceError } from '../runtime/index.js'
import type { NewClientRecord } from './types.js'

/** Past any of these the handler has to wait for a commit; the bytes leave room below the largest body of a request. */
const recordsMax = 1000
const textMax = 1024 * 1024
const streamsMax = 32

/** Records by the stream that they go to, each as the JSON of one record. */
export type EffectTexts = ReadonlyMap<string, readonly string[]>

/**
 * What the handler of one shard appends. The records of a record that is still being handled are kept apart: they may go
 * into no commit before its position does.
 */
export class Effects {
  #texts = new Map<string, string[]>()
  #records = 0
  #length = 0
  #open: { readonly stream: string; readonly text: string }[] = []

  get areMany(): boolean {
    return this.#records >= recordsMax || this.#length >= textMax || this.#texts.size >= streamsMax
  }

  /** Of the record that is being handled. Throws BAD_REQUEST for what has no JSON. */
  add(stream: string, record: NewClientRecord): void {
    this.#open.push({ stream, text: textOf(record) })
  }

  /** That record was handled. */
  keep(): void {
    if (this.#open.length === 0) return
    for (const { stream, text } of this.#open) {
      const texts = this.#texts.get(stream)
      if (texts) texts.push(text)
      else this.#texts.set(stream, [text])
      this.#records++
      this.#length += text.length
    }
    this.#open = []
  }

  /** Gives away what was kept, for a commit. */
  take(): EffectTexts {
    const texts = this.#texts
    this.#texts = new Map()
    this.#records = 0
    this.#length = 0
    return texts
  }
}

function textOf({ key, value, time }: NewClientRecord): string {
  if (value instanceof Uint8Array) {
    const { buffer, byteOffset, length } = value
    return JSON.stringify({ key, bytes: Buffer.from(buffer, byteOffset, length).toString('base64'), time })
  }
  const text = JSON.stringify(value)
  if (text === undefined) throw new MillraceError('BAD_REQUEST', 'A record has no value; null is one.')
  const head = JSON.stringify({ key, time })
  return `${head.slice(0, -1)},"value":${text}}`
}
