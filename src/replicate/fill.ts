import type { ReplicatedTable, ReplicatedTables, VersionPage } from '../tables/index.js'
import type { Outgoing } from './rows.js'
import type { ApplyAsk, SeenByRegion } from './types.js'
import { encodeChanges, RegionNumbers } from './wire.js'

/** One page of a fill. */
const pageChangesMax = 1000
const pageBytesMax = 512 * 1024

export interface FillOptions {
  readonly replicas: Pick<ReplicatedTables, 'page'>
  readonly table: () => ReplicatedTable
  /** By region: the time up to which all of its writes are here. */
  readonly seen: () => Promise<SeenByRegion>
  /** Gives the place (hex) from which the stretch is to be sent again, where the other region is not through with it. */
  readonly send: (
    ask: Pick<ApplyAsk, 'regions' | 'repeats' | 'stretch'>,
    body: Buffer,
    changes: number,
  ) => Promise<string | undefined>
  /** Makes durable how far the fill is. */
  readonly save: (fill: NonNullable<Outgoing['fill']>) => Promise<void>
}

/**
 * Brings all items of a table to another region, and then all tombstones: in whatever order the versions come, the newest of each
 * stays. What is written meanwhile is in the change log behind the position that was taken before the first page.
 */
export async function fill(from: Outgoing['fill'], options: FillOptions): Promise<void> {
  let at: NonNullable<Outgoing['fill']> = from ?? { what: 'items' }
  for (;;) {
    const { what } = at
    const after = at.after === undefined ? undefined : Buffer.from(at.after, 'hex')
    // Before the page is read: what was seen by then and is not in the page was deleted.
    const seen = what === 'items' ? await options.seen() : {}
    const page = await options.replicas.page(options.table(), {
      what,
      after,
      changesMax: pageChangesMax,
      bytesMax: pageBytesMax,
    })
    const regions = new RegionNumbers()
    const body = encodeChanges(page.changes, regions)
    const stretch = what === 'items' ? { stretch: stretchOf(at.after, page, seen) } : {}
    const again =
      what === 'items' || page.changes.length > 0
        ? await options.send({ regions: regions.names, repeats: true, ...stretch }, body, page.changes.length)
        : undefined
    if (again !== undefined) at = { what, after: again }
    else if (page.more && page.last) at = { what, after: page.last.toString('hex') }
    else if (what === 'items') at = { what: 'tombstones' }
    else return
    await options.save(at)
  }
}

function stretchOf(
  after: string | undefined,
  { last, more }: VersionPage,
  seen: SeenByRegion,
): NonNullable<ApplyAsk['stretch']> {
  return {
    ...(after === undefined ? {} : { after }),
    ...(more && last ? { upTo: last.toString('hex') } : {}),
    seen,
  }
}
