import { attributesOf, type ItemValue } from '../operators/index.js'
import type { NodeId, PipelinePlan } from '../operators/plan/index.js'
import { encodeKey, opened, type Stages, unpackState } from '../operators/task/index.js'
import { MillraceError } from '../runtime/index.js'
import { type AttributeValue, encodeKeyValue, type KeySchema } from '../tables/values/index.js'
import type { MemoryStore } from './memory-store.js'
import type { TestCell } from './test-inputs.js'

/** Finds the committed state of a plan's steps. */
export class StateLookup {
  readonly #plan: PipelinePlan
  readonly #stages: Stages
  readonly #store: MemoryStore
  readonly #schemas: ReadonlyMap<string, KeySchema>

  constructor(plan: PipelinePlan, stages: Stages, store: MemoryStore, schemas: ReadonlyMap<string, KeySchema>) {
    this.#plan = plan
    this.#stages = stages
    this.#store = store
    this.#schemas = schemas
  }

  cells(step: string, key: unknown): TestCell[] {
    const node = this.#stepNamed(step)
    const cells = this.#keysOf(node, key).flatMap((bytes) => this.#store.cellsOf(node, bytes))
    return cells.map(({ name, cell }) => {
      const content = unpackState(cell.value)
      const envelope = opened(content)
      return { name, value: envelope ? envelope.value : content }
    })
  }

  #stepNamed(step: string): NodeId {
    const keyed = this.#plan.nodes.flatMap((node, id) => (node.kind === 'keyed' ? [{ id, name: node.name }] : []))
    const found = keyed.find(({ name }) => name === step)
    if (found) return found.id
    throw new MillraceError('NOT_FOUND', `The pipeline has no step ${step} that keeps state.`, {
      remedy: `Name one of: ${keyed.map(({ name }) => name).join(', ')}.`,
    })
  }

  /** The stored forms of a key at a step. A partition key may be given by its value alone. */
  #keysOf(node: NodeId, key: unknown): Buffer[] {
    const stage = this.#stages.stages.find(({ nodes }) => nodes.includes(node))
    if (stage?.kind === 'source') return [this.#partitionKey(stage.root, key)]
    const isPartition = (stage?.entries ?? []).some((entry) => this.#plan.nodes[entry]?.kind === 'keyByPartition')
    if (!isPartition || isWhole(key)) return [encodeKey(key)]
    // Where partition keys meet others, they are sent as people see them: `{ListId: 1}`.
    return [...this.#partitionNames()].map((name) => encodeKey({ [name]: key }))
  }

  /** Behind keyByPartition in place, state lies under the bytes of the partition key. */
  #partitionKey(root: NodeId, key: unknown): Buffer {
    const value = (isWhole(key) ? Object.values(key)[0] : key) as ItemValue
    if (this.#hashKeyName(root) === undefined) return Buffer.from(String(value))
    return encodeKeyValue((attributesOf({ key: value }) as { key: AttributeValue }).key)
  }

  #partitionNames(): ReadonlySet<string> {
    return new Set(
      this.#plan.nodes.flatMap(({ kind }, id) => (kind === 'source' ? [this.#hashKeyName(id) ?? 'key'] : [])),
    )
  }

  /** The partition key of a source that is a table. */
  #hashKeyName(source: NodeId): string | undefined {
    const node = this.#plan.nodes[source]
    return node?.kind === 'source' && node.source.kind === 'table'
      ? this.#schemas.get(node.source.name)?.hash.name
      : undefined
  }
}

/** Whether a partition key is given as functions see it, `{ListId: 1}`. */
const isWhole = (key: unknown): key is object => typeof key === 'object' && key !== null && !(key instanceof Uint8Array)
