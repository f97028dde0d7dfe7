import type { CommitPath } from '../../../commit/index.js'
import { MillraceError } from '../../../runtime/index.js'
import type { KeySchema, Tables } from '../../../tables/index.js'
import type { Destination, FailureDocument } from './destination.js'

export type DestinationTables = Pick<Tables, 'schema' | 'givenPut' | 'prepareGiven'>

/** An item may have 400 KB: a document with a larger event is stored without it. */
const documentBytesMax = 350_000

/** Whether documents can have keys of this kind: text, and behind it text or a number. */
export function takesDocuments({ hash, range }: KeySchema): boolean {
  return hash.type === 'S' && range?.type !== 'B'
}

/** Puts an item for each document; one that is brought again replaces itself. */
export class TableDestination implements Destination {
  readonly #name: string
  readonly #tables: DestinationTables
  readonly #commit: Pick<CommitPath, 'submit'>

  constructor(name: string, tables: DestinationTables, commit: Pick<CommitPath, 'submit'>) {
    this.#name = name
    this.#tables = tables
    this.#commit = commit
  }

  async deliver(document: FailureDocument): Promise<void> {
    const schema = this.#tables.schema(this.#name)
    if (!schema) throw new MillraceError('NOT_FOUND', `There is no table named ${this.#name}.`)
    const write = this.#tables.givenPut(this.#name, itemOf(document, schema))
    const { effects, release } = await this.#tables.prepareGiven(this.#name, [write])
    let stored: Promise<unknown>
    try {
      stored = this.#commit.submit(effects)
    } finally {
      release()
    }
    await stored
  }

  async close(): Promise<void> {}
}

function itemOf(document: FailureDocument, { hash, range }: KeySchema): object {
  const { id, at, functionArn, condition, shardId, startSequenceNumber, withPayload, withoutPayload } = document
  const body = withPayload.length <= documentBytesMax ? withPayload : withoutPayload
  return {
    functionArn: { S: functionArn },
    condition: { S: condition },
    shardId: { S: shardId },
    startSequenceNumber: { S: startSequenceNumber },
    timestamp: { S: new Date(at).toISOString() },
    document: { S: body.toString() },
    // A number is the same at each attempt too: the digits of the place, of which a number has enough.
    ...(range ? { [range.name]: range.type === 'N' ? { N: startSequenceNumber } : { S: startSequenceNumber } } : {}),
    [hash.name]: { S: id },
  }
}
