import { configSchema } from '../config/index.js'
import { Daemon } from '../daemon/index.js'
import { lagRecords } from '../groups/index.js'
import { forEachRecord, type Sequence, type Stream } from '../log/index.js'
import { MillraceError, silentLogger } from '../runtime/index.js'
import { tableDefinition } from './table-definition.js'
import type { BenchTarget } from './types.js'

const readBytes = 1 << 20

/** A daemon of its own on a folder, without a server between: what the engine itself does on this machine. */
export async function inProcess(folder: string): Promise<BenchTarget> {
  const config = configSchema.parse({ dataDir: folder })
  const daemon = await Daemon.open({ config, logger: silentLogger })
  const streamOf = (name: string): Stream => {
    const stream = daemon.rooms.log.streamNamed(name)
    if (!stream) throw new MillraceError('NOT_FOUND', `There is no stream named ${name}.`)
    return stream
  }
  const aws = (operation: string, input: object) =>
    daemon.rooms.tables.execute('DynamoDB_20120810', operation, Buffer.from(JSON.stringify(input)))
  return {
    async createStream(name, shards) {
      const { log, balancer } = daemon.rooms
      const stream = await log.createStream({ name, kind: 'plain', shards, images: { old: false, new: false } })
      await balancer.setPolicy(stream, { enabled: false })
    },
    deleteStream: (name) => daemon.rooms.log.closeStream(streamOf(name).id),
    async createTable(name) {
      await aws('CreateTable', tableDefinition(name))
    },
    async deleteTable(TableName) {
      await aws('DeleteTable', { TableName })
    },
    async append(name, batch) {
      await daemon.rooms.store.commit.submit({ records: [{ stream: streamOf(name).id, batch }] })
    },
    async replay(name) {
      const { log } = daemon.rooms
      let records = 0
      for (const shard of log.shards(streamOf(name).id)) {
        let from: Sequence = shard.lowWatermark
        for (;;) {
          const page = await log.read(shard.id, from, { bytesMax: readBytes })
          for (const chunk of page.chunks)
            forEachRecord(chunk, from, () => {
              records++
              return undefined
            })
          page.release?.()
          if (page.chunks.length === 0) break
          from = page.next
        }
      }
      return records
    },
    deploy: async (bundle) => (await daemon.rooms.pipelines.deploy({ bundle, start: 'oldest' })).name,
    deletePipeline: (name) => daemon.rooms.pipelines.delete(name),
    async lag(pipeline) {
      const { groups, log } = daemon.rooms
      const group = groups.group(`pipeline:${pipeline}`)
      return group ? lagRecords(log, group) : 0
    },
    close: () => daemon.close(),
  }
}
