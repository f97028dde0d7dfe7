import { openSearchEntryOf } from '../../../operators/index.js'
import type { DeliveryOutcome, OutboxRecord, Refusal } from '../deliverer.js'

/** The parts of an answer that count: the answer to a large request would be large. */
const answerParts =
  'errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason,items.*.error.index'

/**
 * Where a bulk request goes. `timeout` has the server give up a shard that it waits for when the sender gives up, too, so that
 * nothing of a request outlives it for long.
 */
export const bulkPath = (timeoutMs: number): string =>
  `/_bulk?timeout=${timeoutMs}ms&filter_path=${encodeURIComponent(answerParts)}`

/**
 * What of a batch is sent: of each id the newest result alone. A batch that is sent again would else bring back for a moment what
 * its own later results had replaced, where the server has forgotten a deletion. Of the ids in `wholly` all is sent, in order.
 */
export function newestOfEach(records: readonly OutboxRecord[], wholly: ReadonlySet<string>): readonly OutboxRecord[] {
  const ids = records.map(idOf)
  const newest = new Map(ids.map((id, i) => [id, i]))
  return records.filter((_record, i) => newest.get(ids[i] as string) === i || wholly.has(ids[i] as string))
}

/**
 * The body of a bulk request: for each result what is to be done, and its document. The version is the result's number in the
 * daemon: it is the same at each attempt and of no other result, and grows for ever, also where a pipeline begins anew. What is
 * there at the same version is the same, and written once more (`external_gte`): a conflict is answered before what is there is
 * durable and with all copies, a write after that.
 */
export function bulkBody(index: string, records: readonly OutboxRecord[]): Buffer {
  const parts: Uint8Array[] = []
  for (const { sequence, body } of records) {
    const { id, routing, document } = openSearchEntryOf(body)
    const where = { _index: index, _id: id, ...(routing === undefined ? {} : { routing }) }
    const meta = { ...where, version: sequence, version_type: 'external_gte' }
    if (document) parts.push(Buffer.from(`${JSON.stringify({ index: meta })}\n`), document, lineEnd)
    else parts.push(Buffer.from(`${JSON.stringify({ delete: meta })}\n`))
  }
  return Buffer.concat(parts)
}

const lineEnd = Buffer.from('\n')

interface ItemError {
  readonly type?: string
  readonly reason?: string
  readonly caused_by?: { readonly reason?: string }
}

interface Item {
  readonly status?: number
  readonly error?: ItemError
}

type Verdict = 'through' | 'refused' | 'left'

/** Statuses of one document that have nothing to do with what is in it: rights, blocks, what is not there, a full queue. */
const waitingStatuses = new Set([401, 403, 404, 408, 409, 429])
/** The same among the other errors with 4xx: the index is closed, or the cluster has as many shards as it may. */
const waitingTypes = new Set(['index_closed_exception', 'validation_exception', 'cluster_block_exception'])

/**
 * What became of each record of a batch of which `sent` was sent (newestOfEach). `nextVersion`: above all versions that this
 * daemon has given.
 */
export function bulkOutcome(
  text: string,
  { records, sent }: { readonly records: readonly OutboxRecord[]; readonly sent: readonly OutboxRecord[] },
  nextVersion: number,
): DeliveryOutcome {
  const answer = answered(text)
  const items = answer?.items?.map((each) => Object.values(each)[0] ?? {})
  if (items?.length !== sent.length)
    return { kind: 'failed', why: `The answer is not one to a bulk request: ${text.slice(0, 300)}` }
  if (answer?.errors === false) return { kind: 'delivered' }
  const verdicts = items.map((item) => verdictOf(item, nextVersion))
  const worst = verdicts.includes('left') ? 'left' : 'refused'
  const at = verdicts.indexOf(worst)
  if (at < 0) return { kind: 'delivered' }
  const judged = new Map(sent.map((record, i) => [record, { item: items[i] as Item, verdict: verdicts[i] as Verdict }]))
  return { kind: 'partly', ...taken(records, judged), why: whyOf(items[at] as Item, nextVersion) }
}

function answered(text: string): { readonly errors?: boolean; readonly items?: Record<string, Item>[] } | undefined {
  try {
    return JSON.parse(text) as { items?: Record<string, Item>[] }
  } catch {
    return undefined
  }
}

/**
 * Behind a document that is left, all later ones of its id are sent again, too, also where they are through: the server may have
 * forgotten a deletion by the time that the earlier one is taken, which would then stay. What was not sent, for the sake of a
 * newer one, is through with that, and else has its turn.
 */
function taken(
  records: readonly OutboxRecord[],
  judged: ReadonlyMap<OutboxRecord, { readonly item: Item; readonly verdict: Verdict }>,
): { readonly left: OutboxRecord[]; readonly refused: Refusal[] } {
  const newest = new Map([...judged].map(([record, { verdict }]) => [idOf(record), verdict]))
  const ids = new Set<string>()
  const left: OutboxRecord[] = []
  const refused: Refusal[] = []
  for (const record of records) {
    const id = idOf(record)
    const { item, verdict } = judged.get(record) ?? {}
    if (!item) {
      if (newest.get(id) !== 'through') left.push(record)
    } else if (verdict === 'left' || ids.has(id)) {
      ids.add(id)
      left.push(record)
    } else if (verdict === 'refused') refused.push({ record, why: whyOf(item, 0) })
  }
  return { left, refused }
}

export const idOf = ({ body }: OutboxRecord): string => openSearchEntryOf(body).id

function verdictOf(item: Item, nextVersion: number): Verdict {
  const { status = 500, error } = item
  // A deletion of what is not there is 404, and no error.
  if (error === undefined) return status < 300 || status === 404 ? 'through' : 'left'
  const { type = '' } = error
  if (status === 409 && type.startsWith('version_conflict')) return versionOf(error) >= nextVersion ? 'left' : 'through'
  if (status >= 500 || waitingStatuses.has(status) || waitingTypes.has(type)) return 'left'
  return 'refused'
}

/** The version that the server has, as it says in words. */
function versionOf({ reason = '' }: ItemError): number {
  return Number(/current version \[(\d+)\]/.exec(reason)?.[1] ?? 0)
}

function whyOf({ status = 500, error = {} }: Item, nextVersion: number): string {
  const { type = 'no reason given', reason = '', caused_by } = error
  const cause = caused_by?.reason === undefined ? '' : ` (${caused_by.reason})`
  const foreign =
    status === 409 && nextVersion > 0 && versionOf(error) >= nextVersion
      ? '. This daemon never gave that version: another one, or something else, wrote to the index. Delete the document or the index, or name another index.'
      : ''
  return `${status} ${type}: ${reason}${cause}${foreign}`
}
