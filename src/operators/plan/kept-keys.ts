import { type Stages, stagesOf } from '../task/stages.js'
import { nodeLabel, type PlanDescription } from './description.js'
import { invalid } from './invalid.js'
import type { NodeId } from './nodes.js'

/** Where a step's state comes from: what its keys are, and which sources gave it. */
interface Origin {
  readonly id: NodeId
  readonly operator: string
  readonly keys: string
  readonly sources: ReadonlySet<string>
}

/**
 * Throws PIPELINE_INVALID where a step would find its older state under other keys, or go on with what a source gave that
 * is there no more. What the function of a keyBy does is not compared: only its place is known. `only` names one state that
 * is looked at; without it all are.
 */
export function checkKeptKeys(older: PlanDescription, newer: PlanDescription, only?: string): void {
  const before = originsOf(older)
  for (const [name, { id, operator, keys, sources }] of originsOf(newer)) {
    const old = before.get(name)
    if (!old || (only !== undefined && only !== name)) continue
    const where = `Step ${id} of ${newer.name} (${operator} ${name})`
    if (old.keys !== keys)
      throw invalid(
        `${where} kept its state by ${old.keys}, and would look for it by ${keys}.`,
        'Give the step another name: it then begins anew, and the old state goes. Or deploy the pipeline under another name.',
      )
    const gone = [...old.sources].find((source) => !sources.has(source))
    if (gone !== undefined)
      throw invalid(
        `${where} has state of what ${gone} gave, which it reads no more.`,
        'Keep the source, or give the step another name: it then begins anew, and the old state goes.',
      )
  }
}

function originsOf(plan: PlanDescription): Map<string, Origin> {
  const { nodes } = plan
  const stages = stagesOf(nodes)
  const roots: ReadonlySet<NodeId>[] = []
  nodes.forEach(({ inputs, kind }, id) => {
    const isRoot = kind === 'source' || kind === 'through'
    roots.push(isRoot ? new Set([id]) : new Set(inputs.flatMap((input) => [...(roots[input] as ReadonlySet<NodeId>)])))
  })
  const label = (id: NodeId): string => nodeLabel(nodes[id] as PlanDescription['nodes'][number])
  return new Map(
    nodes.flatMap((node, id) => {
      if (node.kind !== 'keyed') return []
      const sources = new Set([...(roots[id] as ReadonlySet<NodeId>)].map(label))
      return [[node.name, { id, operator: node.operator, keys: keysOf(plan, stages, id), sources }]]
    }),
  )
}

/** What the keys of a step are: the partition key as it is in the log, or what keyBy steps made. */
function keysOf({ nodes }: PlanDescription, { stages }: Stages, id: NodeId): string {
  const stage = stages.find((each) => each.nodes.includes(id))
  if (stage?.kind !== 'keyed') return 'the partition key of its source'
  const kinds = new Set(stage.entries.flatMap((entry) => nodes[entry]?.kind ?? []))
  return [...kinds].sort().join(' and ') || 'keyBy'
}
