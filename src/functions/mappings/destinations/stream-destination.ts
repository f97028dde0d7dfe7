import type { CommitPath } from '../../../commit/index.js'
import { Codec, type Log, RecordKind } from '../../../log/index.js'
import { hashKey, MillraceError } from '../../../runtime/index.js'
import type { Destination, FailureDocument } from './destination.js'

/** Appends documents to a plain stream; those of one shard have one key, so they stay in order. */
export class StreamDestination implements Destination {
  readonly #name: string
  readonly #log: Pick<Log, 'streamNamed'>
  readonly #commit: Pick<CommitPath, 'submit'>

  constructor(name: string, log: Pick<Log, 'streamNamed'>, commit: Pick<CommitPath, 'submit'>) {
    this.#name = name
    this.#log = log
    this.#commit = commit
  }

  async deliver(document: FailureDocument): Promise<void> {
    try {
      await this.#append(document, document.withPayload)
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'EFFECT_TOO_LARGE') throw error
      await this.#append(document, document.withoutPayload)
    }
  }

  async #append({ shardId, at }: FailureDocument, body: Buffer): Promise<void> {
    const stream = this.#log.streamNamed(this.#name)
    if (!stream || stream.closedAt !== undefined)
      throw new MillraceError('NOT_FOUND', `There is no stream named ${this.#name}.`)
    const key = Buffer.from(shardId)
    const record = { hash: hashKey(key), kind: RecordKind.append, flags: 0, codec: Codec.json, time: at, key, body }
    await this.#commit.submit({ records: [{ stream: stream.id, records: [record] }] })
  }

  async close(): Promise<void> {}
}
