import type { MessagePort } from 'node:worker_threads'
import type { ChannelId, ChannelMessage, Row } from '../operators/task/index.js'
import { packable } from '../operators/task/index.js'
import { rowPackr } from './packing.js'

/** What a task says to one in another thread. */
export type PeerMessage =
  | { readonly kind: 'message'; readonly task: number; readonly channel: ChannelId; readonly message: PackedMessage }
  /** To the sender: so many of its rows have been worked off. */
  | { readonly kind: 'credit'; readonly task: number; readonly channel: ChannelId; readonly rows: number }

/** Rows between threads: keys and values as MessagePack, and for each row its time, stamp, sequence number and `parts`. */
interface PackedRows {
  readonly kind: 'packed'
  readonly values: Uint8Array
  readonly numbers: Float64Array
}

const numbersOfRow = 4

type PackedMessage = Exclude<ChannelMessage, { kind: 'rows' }> | PackedRows

/** What a thread does with what its peers say. */
export interface PeerListener {
  message(task: number, channel: ChannelId, message: ChannelMessage): void
  credit(task: number, channel: ChannelId, rows: number): void
}

/** The ways of one worker thread to the others. */
export class Peers {
  readonly #ports = new Map<number, MessagePort>()
  readonly #listener: PeerListener

  constructor(listener: PeerListener) {
    this.#listener = listener
  }

  add(thread: number, port: MessagePort): void {
    this.#ports.set(thread, port)
    port.on('message', (message: PeerMessage) => this.#take(message))
    port.on('close', () => this.#ports.delete(thread))
  }

  #take(message: PeerMessage): void {
    if (message.kind === 'credit') this.#listener.credit(message.task, message.channel, message.rows)
    else this.#listener.message(message.task, message.channel, unpacked(message.message))
  }

  /** What is for a thread that is gone goes nowhere: its tasks, and with them their pipelines' runs, are gone too. */
  send(thread: number, task: number, channel: ChannelId, message: ChannelMessage): void {
    const port = this.#ports.get(thread)
    if (!port) return
    if (message.kind !== 'rows') {
      port.postMessage({ kind: 'message', task, channel, message } satisfies PeerMessage)
      return
    }
    const packed = packedRows(message.keys, message.rows)
    port.postMessage({ kind: 'message', task, channel, message: packed } satisfies PeerMessage, [
      packed.values.buffer,
      packed.numbers.buffer,
    ])
  }

  credit(thread: number, task: number, channel: ChannelId, rows: number): void {
    this.#ports.get(thread)?.postMessage({ kind: 'credit', task, channel, rows } satisfies PeerMessage)
  }

  close(): void {
    for (const port of this.#ports.values()) port.close()
  }
}

function packedRows(
  keys: readonly unknown[],
  rows: readonly Row[],
): PackedRows & {
  readonly values: Uint8Array<ArrayBuffer>
  readonly numbers: Float64Array<ArrayBuffer>
} {
  const numbers = new Float64Array(numbersOfRow * rows.length)
  rows.forEach(({ time, stamp, sequence, parts = 0 }, i) => {
    numbers[numbersOfRow * i] = time
    numbers[numbersOfRow * i + 1] = stamp
    numbers[numbersOfRow * i + 2] = sequence
    numbers[numbersOfRow * i + 3] = parts
  })
  const values = rows.map(({ value }) => packable(value))
  // A copy: what the packer gives lies in memory that it writes again.
  return { kind: 'packed', values: new Uint8Array(rowPackr.pack([keys, values])), numbers }
}

function unpacked(message: PackedMessage): ChannelMessage {
  if (message.kind !== 'packed') return message
  const { numbers } = message
  const [keys, values] = rowPackr.unpack(message.values) as [unknown[], unknown[]]
  const rows = values.map(
    (value, i): Row => ({
      value,
      time: numbers[numbersOfRow * i] as number,
      stamp: numbers[numbersOfRow * i + 1] as number,
      sequence: numbers[numbersOfRow * i + 2] as number,
      parts: numbers[numbersOfRow * i + 3] as number,
    }),
  )
  return { kind: 'rows', keys, rows }
}
