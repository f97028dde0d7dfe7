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
    return this.#store.cellsOf(node, this.#bytesOf(node, key)).map(({ name, cell }) => {
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

  /** Behind keyByPartition, state lies under the bytes of the partition key. */
  #bytesOf(node: NodeId, key: unknown): Buffer {
    const stage = this.#stages.stages.find(({ nodes }) => nodes.includes(node))
    if (stage?.kind !== 'source') return encodeKey(key)
    const value = (typeof key === 'object' && key !== null ? Object.values(key)[0] : key) as ItemValue
    const root = this.#plan.nodes[stage.root]
    const isTable = root?.kind === 'source' && root.source.kind === 'table' && this.#schemas.has(root.source.name)
    if (!isTable) return Buffer.from(String(value))
    return encodeKeyValue((attributesOf({ key: value }) as { key: AttributeValue }).key)
  }
}
