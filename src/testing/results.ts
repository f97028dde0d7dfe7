import { kafkaResultOf, openSearchResultOf, plainItem } from '../operators/index.js'
import { type PipelinePlan, targetOf } from '../operators/plan/index.js'
import { unpackState } from '../operators/task/index.js'
import { MillraceError } from '../runtime/index.js'
import { type Item, type KeySchema, keyOf } from '../tables/values/index.js'
import type { MemoryStore } from './memory-store.js'

type SinkNode = Extract<PipelinePlan['nodes'][number], { kind: 'sink' }>

/** The sinks of a plan under their names: what they write to, or what `to(sink, name)` called them. */
export class Results {
  readonly #plan: PipelinePlan
  readonly #store: MemoryStore
  readonly #schemas: ReadonlyMap<string, KeySchema>

  constructor(plan: PipelinePlan, store: MemoryStore, schemas: ReadonlyMap<string, KeySchema>) {
    this.#plan = plan
    this.#store = store
    this.#schemas = schemas
  }

  #nodes(name: string | undefined): ReadonlySet<number> {
    const sinks = this.#plan.nodes.flatMap((node, id) => (node.kind === 'sink' ? [{ node, id }] : []))
    const found = sinks.filter(({ node }) => name === undefined || namesOf(node).includes(name))
    if (found.length > 0 && (name !== undefined || sinks.length === 1)) return new Set(found.map(({ id }) => id))
    const names = sinks.map(({ node }) => namesOf(node)[0]).join(', ')
    throw new MillraceError(
      'NOT_FOUND',
      name === undefined ? `The pipeline has several sinks: ${names}.` : `The pipeline has no sink ${name}.`,
      { remedy: `Name one of: ${names}.` },
    )
  }

  /** What a sink was given, in the order of commits. */
  values(name: string | undefined): unknown[] {
    const nodes = this.#nodes(name)
    return this.#store.outputs
      .filter(({ node }) => nodes.has(node))
      .flatMap(({ node, entries }) => entries.map((entry) => this.#value(this.#plan.nodes[node] as SinkNode, entry)))
  }

  #value({ sink }: SinkNode, entry: string): unknown {
    if (sink.kind === 'table') return plainItem(JSON.parse(entry) as Item)
    // A line of a CSV file is what it is.
    if (sink.kind === 'file') return sink.columns ? entry : (JSON.parse(entry) as unknown)
    const end = entry.indexOf('\n')
    if (sink.kind === 'user') return (unpackState(Buffer.from(entry.slice(end + 1), 'latin1')) as [unknown])[0]
    if (sink.kind === 'kafka') return kafkaResultOf(entry.slice(end + 1))
    if (sink.kind === 'openSearch') return openSearchResultOf(entry.slice(end + 1))
    if (sink.kind !== 'stream') return JSON.parse(entry.slice(end + 1)) as unknown
    const [key, time] = JSON.parse(entry.slice(0, end)) as [string, number | null]
    return { key, value: JSON.parse(entry.slice(end + 1)) as unknown, ...(time === null ? {} : { time }) }
  }

  /** What a table holds: the last item of each key that was put into it. */
  items(table: string): unknown[] {
    const schema = this.#schemas.get(table) as KeySchema
    const items = new Map<string, Item>()
    const nodes = this.#nodes(table)
    for (const { node, entries } of this.#store.outputs) {
      if (!nodes.has(node)) continue
      for (const entry of entries) {
        const item = JSON.parse(entry) as Item
        items.set(JSON.stringify(keyOf(item, schema)), item)
      }
    }
    return [...items.values()].map((item) => plainItem(item))
  }

  /** The table that a sink writes to, if it is one. */
  tableOf(name: string | undefined): string | undefined {
    const [id] = this.#nodes(name)
    const { sink } = this.#plan.nodes[id as number] as SinkNode
    return sink.kind === 'table' ? sink.name : undefined
  }
}

function namesOf({ name, sink }: SinkNode): string[] {
  return [name, targetOf(sink)]
}
