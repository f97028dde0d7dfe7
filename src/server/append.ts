import type { Placement } from '../commit/index.js'
import type { Daemon } from '../daemon/index.js'
import type { Stream } from '../log/index.js'
import { MillraceError } from '../runtime/index.js'
import { batchOfBody } from './records.js'

export interface PlacedEffect {
  readonly count: number
  readonly commit: number
  readonly placed: readonly Placement[]
}

/** Appends the records of a body to a plain stream; resolves when they are durable. */
export async function append(daemon: Daemon, stream: Stream, contentType: string, body: Buffer): Promise<PlacedEffect> {
  const { batch, count } = batchOfBody(contentType, body, Date.now())
  const placed: Placement[] = []
  const { commit } = await daemon.rooms.store.commit.submit({ records: [{ stream: stream.id, batch, placed }] })
  if (placed.length === 0) throw new MillraceError('NOT_FOUND', `The stream ${stream.name} was deleted.`)
  return { count, commit, placed }
}
