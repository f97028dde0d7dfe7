import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { bundleModule } from '../workers/index.js'
import { inProcess } from './in-process.js'
import { overHttp } from './over-http.js'
import { percentiles, plainSyncs } from './percentiles.js'
import { BatchMaker } from './records.js'
import { samplePipelines } from './sample-pipelines.js'
import type { BenchOptions, BenchResult, BenchRow, BenchTarget } from './types.js'

/**
 * The part of the slowest measured pipeline's rate that a shard should carry: a consumer that does three times its work
 * still keeps up, and one that was away catches up.
 */
export const safeFraction = 0.3

const lagEveryMs = 5

export type BenchName = 'shard' | 'stream' | 'pipeline'

/** Runs a benchmark and removes what it made. `url`: against a running daemon instead of one in this process. */
export async function runBench(name: BenchName, options: BenchOptions, url: string | undefined): Promise<BenchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const plainSyncMs = url === undefined ? await plainSyncs(folder) : undefined
  const target = url === undefined ? await inProcess(join(folder, 'data')) : overHttp(url)
  try {
    const run = new Bench(target, options, folder)
    const rows = await run[name]()
    const [cpu] = cpus()
    return {
      machine: { cores: cpus().length, model: cpu?.model.trim() ?? '', memoryBytes: totalmem(), node: process.version },
      ...(plainSyncMs ? { plainSyncMs } : {}),
      rows,
      ...(name === 'shard' ? { target: targetOf(rows) } : {}),
    }
  } finally {
    await target.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A shard's target: a safe fraction of what the slowest pipeline did, to two digits. */
function targetOf(rows: readonly BenchRow[]): { recordsPerSecond: number; bytesPerSecond: number } {
  const slowest = rows.slice(1).reduce((least, row) => (row.recordsPerSecond < least.recordsPerSecond ? row : least))
  const twoDigits = (value: number) => Number(value.toPrecision(2))
  return {
    recordsPerSecond: twoDigits(slowest.recordsPerSecond * safeFraction),
    bytesPerSecond: twoDigits(slowest.bytesPerSecond * safeFraction),
  }
}

class Bench {
  readonly #target: BenchTarget
  readonly #options: BenchOptions
  readonly #folder: string
  readonly #stream = `bench-${process.pid}-${Date.now().toString(36)}`

  constructor(target: BenchTarget, options: BenchOptions, folder: string) {
    this.#target = target
    this.#options = options
    this.#folder = folder
  }

  /** What one shard takes, and what one source task on one worker thread makes of it. */
  shard(): Promise<readonly BenchRow[]> {
    return this.#withStream(1, async (appended) => [appended, ...(await this.#pipelines(appended))])
  }

  /** What a stream takes, and what it gives back. */
  stream(): Promise<readonly BenchRow[]> {
    return this.#withStream(this.#options.shards, async (appended) => {
      const began = performance.now()
      const records = await this.#target.replay(this.#stream)
      return [appended, this.#row('replay', records, began)]
    })
  }

  /** What pipelines make of a stream that is there already. */
  pipeline(): Promise<readonly BenchRow[]> {
    return this.#withStream(this.#options.shards, async (appended) => this.#pipelines(appended))
  }

  async #withStream(
    shards: number,
    measure: (appended: BenchRow) => Promise<readonly BenchRow[]>,
  ): Promise<readonly BenchRow[]> {
    await this.#target.createStream(this.#stream, shards)
    try {
      return await measure(await this.#append())
    } finally {
      await this.#target.deleteStream(this.#stream)
    }
  }

  async #append(): Promise<BenchRow> {
    const { seconds, batch, inFlight, bytes, keys } = this.#options
    const maker = new BatchMaker(batch, bytes, keys)
    const times: number[] = []
    const began = performance.now()
    const worker = async () => {
      while (performance.now() - began < seconds * 1000) {
        const next = maker.next()
        const start = performance.now()
        await this.#target.append(this.#stream, next)
        times.push(performance.now() - start)
      }
    }
    await Promise.all(Array.from({ length: inFlight }, worker))
    return { ...this.#row('append', times.length * batch, began), ms: percentiles(times) }
  }

  async #pipelines({ records }: BenchRow): Promise<BenchRow[]> {
    const rows: BenchRow[] = []
    await this.#target.createTable(this.#stream)
    try {
      for (const [name, source] of Object.entries(samplePipelines)) {
        const module = join(this.#folder, 'pipeline.ts')
        writeFileSync(module, source({ stream: this.#stream, table: this.#stream, file: `${this.#stream}.ndjson` }))
        const bundle = await bundleModule(module)
        const began = performance.now()
        const pipeline = await this.#target.deploy(bundle)
        try {
          while ((await this.#target.lag(pipeline)) > 0) await sleep(lagEveryMs)
          rows.push(this.#row(name, records, began))
        } finally {
          await this.#target.deletePipeline(pipeline)
        }
      }
    } finally {
      await this.#target.deleteTable(this.#stream)
    }
    return rows
  }

  #row(what: string, records: number, began: number): BenchRow {
    const seconds = (performance.now() - began) / 1000
    const recordsPerSecond = Math.round(records / seconds)
    const recordBytes = new BatchMaker(1, this.#options.bytes, 1).recordBytes
    return { what, records, seconds, recordsPerSecond, bytesPerSecond: Math.round((records * recordBytes) / seconds) }
  }
}
