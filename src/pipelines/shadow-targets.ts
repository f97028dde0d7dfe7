import { existsSync, rmSync } from 'node:fs'
import type { Commit } from '../commit/index.js'
import type { ShardedLog } from '../log/index.js'
import type { PlanDescription } from '../operators/index.js'
import { killPoint, MillraceError } from '../runtime/index.js'
import { rolledPath } from '../sinks/index.js'
import type { Tables } from '../tables/index.js'
import { sinksOf } from './plan-steps.js'
import { decodeSinkFile, type GoneTargets, type PipelineRow, sinkFileKey, type TakeOver } from './rows.js'
import { shadowTarget } from './shadow-plan.js'
import type { SinkTargets } from './sink-targets.js'

export interface ShadowRooms {
  readonly tables: Pick<Tables, 'schema' | 'createLike' | 'drop' | 'take'>
  readonly log: ShardedLog
}

/** What the sinks of a plan write to of one kind, each once. */
export const targetsOf = (plan: PlanDescription, kind: string): readonly string[] => [
  ...new Set(sinksOf(plan).flatMap((sink) => (sink.kind === kind ? [sink.target] : []))),
]

/** The tables, streams and files of shadows: made beside the real ones, given to them, and removed. */
export class ShadowTargets {
  readonly #rooms: ShadowRooms
  readonly #paths: Pick<SinkTargets, 'path'>

  constructor(rooms: ShadowRooms, paths: Pick<SinkTargets, 'path'>) {
    this.#rooms = rooms
    this.#paths = paths
  }

  /** Nothing of what a shadow is to make may be there: it goes with the shadow. Throws ALREADY_EXISTS. `plan`: its own. */
  checkFree(plan: PlanDescription): void {
    const { tables, log } = this.#rooms
    for (const kind of ['table', 'stream'] as const)
      for (const real of targetsOf(plan, kind)) {
        const name = shadowTarget(kind, real)
        if (kind === 'table' ? tables.schema(name) : log.streamNamed(name))
          throw new MillraceError('ALREADY_EXISTS', `The shadow would make the ${kind} ${name}, which is there.`, {
            remedy: `Delete the ${kind} ${name}, if nobody needs it.`,
          })
      }
  }

  /** Makes what is missing. `plan`: that with the real targets. Throws NOT_FOUND, TOO_BUSY. */
  async make(plan: PlanDescription): Promise<void> {
    const { tables, log } = this.#rooms
    for (const table of targetsOf(plan, 'table')) await tables.createLike(shadowTarget('table', table), table)
    for (const real of targetsOf(plan, 'stream')) {
      const name = shadowTarget('stream', real)
      const stream = log.streamNamed(real)
      if (log.streamNamed(name) || !stream) continue
      const shards = log.shards(stream.id).filter(({ state }) => state === 'open').length
      await log.createStream({ name, kind: 'plain', shards, images: { old: false, new: false } })
    }
  }

  /** Gives the items of shadow tables to the real ones, then removes what the shadow had. False where it was ended early. */
  async takeOver({ tables, gone }: TakeOver, isWanted: () => boolean): Promise<boolean> {
    for (const { from, into, items } of tables) {
      // Removed already, by whoever began this before.
      if (!this.#rooms.tables.schema(from)) continue
      const isReplaced = items === 'replace'
      const onCommitted = () => killPoint('pipeline:taking')
      if (!(await this.#rooms.tables.take(from, into, { isReplaced, isWanted, onCommitted }))) return false
    }
    killPoint('pipeline:taken')
    await this.remove(gone)
    return true
  }

  /** Removes targets; those that are gone already are passed over. */
  async remove({ tables, streams, files }: GoneTargets): Promise<void> {
    const { log } = this.#rooms
    for (const name of tables) {
      await this.#rooms.tables.drop(name)
      killPoint('pipeline:dropped')
    }
    for (const name of streams) {
      const stream = log.streamNamed(name)
      if (stream?.kind !== 'plain') continue
      await log.closeStream(stream.id)
      killPoint('pipeline:dropped')
    }
    for (const { target, rolled } of files) {
      const path = this.#paths.path(target)
      for (let i = 1; i <= rolled; i++) rmSync(rolledPath(path, i), { force: true })
      if (existsSync(path)) rmSync(path)
      killPoint('pipeline:dropped')
    }
  }
}

/** The targets of a shadow. */
export async function goneTargets(row: PipelineRow, commit: Pick<Commit, 'readDurable'>): Promise<GoneTargets> {
  const { plan } = row
  const files = sinksOf(plan).flatMap(({ kind, name, target }) => (kind === 'file' ? [{ name, target }] : []))
  const gone = files.map(async ({ name, target }) => {
    const value = await commit.readDurable(sinkFileKey(row.id, row.files[name] as number))
    return { target, rolled: (value ? decodeSinkFile(value).rolled : undefined) ?? 0 }
  })
  return { tables: targetsOf(plan, 'table'), streams: targetsOf(plan, 'stream'), files: await Promise.all(gone) }
}
