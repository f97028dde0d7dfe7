/** A group over the network whose members append what they read in the commit of their positions. */
import type { DaemonProcess } from '../daemon-process.js'
import { readRecords, untilGone } from './load.js'

const [group, output] = ['readers', 'read']

interface Lease {
  readonly lease: number
  readonly next: number
}

interface Answer {
  readonly generation: number
  readonly assigned: readonly { readonly shard: number; readonly lease: number; readonly next: number }[]
  readonly revoked: readonly number[]
  readonly pages: readonly {
    readonly shard: number
    readonly next: number
    readonly ended: boolean
    readonly records: readonly { readonly key: string; readonly value: { readonly id: string } }[]
  }[]
}

export class GroupLoad {
  async create(daemon: DaemonProcess): Promise<void> {
    await daemon.v1('POST', 'streams', { name: output })
    await daemon.v1('POST', 'groups', { name: group, stream: 'clicks' })
  }

  /** Two members that come and go. */
  async readUntilGone(daemon: DaemonProcess): Promise<void> {
    await Promise.all([5, 9].map((polls) => untilGone(daemon, () => this.#live(daemon, polls))))
  }

  /** One member, alone, until the group has read everything. */
  async finish(daemon: DaemonProcess): Promise<void> {
    const lag = async () => (await daemon.v1<{ lag: number }>('GET', `groups/${group}`)).lag
    while ((await lag()) > 0) await this.#live(daemon, 20).catch(orFenced)
  }

  async #live(daemon: DaemonProcess, polls: number): Promise<void> {
    const { member } = await daemon.v1<{ member: string }>('POST', `groups/${group}/members`, {})
    const path = `groups/${group}/members/${member}`
    const leases = new Map<number, Lease>()
    let generation: number | undefined
    for (let poll = 0; poll < polls; poll++) {
      const cursors = Object.fromEntries([...leases].map(([shard, { next }]) => [shard, next]))
      const answer = await daemon.v1<Answer>(
        'POST',
        `${path}/poll`,
        { cursors, waitMs: 50, generation },
        'application/json',
      )
      generation = answer.generation
      for (const { shard, next, ended, records } of answer.pages) {
        const held = leases.get(shard)
        if (!held) continue
        const append =
          records.length === 0 ? [] : [{ stream: output, records: records.map(({ key, value }) => ({ key, value })) }]
        await daemon.v1('POST', `${path}/positions`, { positions: [{ shard, lease: held.lease, next, ended }], append })
        leases.set(shard, { ...held, next })
      }
      const known = new Set(answer.assigned.map(({ shard }) => shard))
      for (const shard of leases.keys()) if (!known.has(shard)) leases.delete(shard)
      for (const { shard, lease, next } of answer.assigned)
        if (leases.get(shard)?.lease !== lease) leases.set(shard, { lease, next })
      if (answer.revoked.length > 0) await daemon.v1('POST', `${path}/release`, { shards: answer.revoked })
    }
    await daemon.v1('DELETE', path)
  }

  /** Every record of the source, once, each key in order. Returns what is wrong. */
  async check(daemon: DaemonProcess): Promise<string[]> {
    const faults: string[] = []
    const ids = async (stream: string) => (await readRecords(daemon, stream)).map(({ value }) => value)
    const [source, read] = [await ids('clicks'), await ids(output)]
    const seen = new Set<string>()
    const last = new Map<string, number>()
    for (const { id, number } of read) {
      if (seen.has(id)) faults.push(`${id} was read twice`)
      seen.add(id)
      const key = id.slice(0, id.lastIndexOf(' '))
      if ((last.get(key) ?? -1) >= number) faults.push(`${id} was read after ${last.get(key)}`)
      last.set(key, number)
    }
    for (const { id } of source) if (!seen.has(id)) faults.push(`${id} was not read`)
    return faults
  }
}

function orFenced(error: unknown): void {
  if (!/FENCED/.test(String(error))) throw error
}
