import { Random } from '../../simulation/random.js'
import type { Backend } from './backend.js'
import { Run } from './run.js'
import type { Step } from './steps.js'
import { checkStream, type View } from './stream.js'
import { type ModelIndex, ModelTable } from './table.js'

const all = { Projection: { ProjectionType: 'ALL' } }
const keysOnly = { Projection: { ProjectionType: 'KEYS_ONLY' } }

/** The indexes of a table: local ones need a sort key. */
function indexesOf(hasRange: boolean): ModelIndex[] {
  const global = { isLocal: false, hash: 'g' as const }
  return [
    { ...global, name: 'by-g-and-h', range: 'h', hasAll: true },
    { ...global, name: 'by-g', range: undefined, hasAll: false },
    ...(hasRange ? [{ name: 'by-h', isLocal: true, hash: 'pk' as const, range: 'h' as const, hasAll: true }] : []),
  ]
}

function described(index: ModelIndex): object {
  return {
    IndexName: index.name,
    KeySchema: [
      { AttributeName: index.hash, KeyType: 'HASH' },
      ...(index.range ? [{ AttributeName: index.range, KeyType: 'RANGE' }] : []),
    ],
    ...(index.hasAll ? all : keysOnly),
  }
}

/** Makes a table, takes the steps on it and on the model, and reads its stream at the end. */
export async function runSteps(
  backend: Backend,
  options: {
    name?: string
    hasRange: boolean
    isIndexed?: boolean
    steps: readonly Step[]
    view: View
    seed: number
  },
): Promise<void> {
  const { name = 'model', hasRange, isIndexed = false, steps, view, seed } = options
  const indexes = isIndexed ? indexesOf(hasRange) : []
  const global = indexes.filter(({ isLocal }) => !isLocal).map(described)
  const local = indexes.filter(({ isLocal }) => isLocal).map(described)
  const { body, message } = await backend.ask('CreateTable', {
    TableName: name,
    AttributeDefinitions: [
      { AttributeName: 'pk', AttributeType: 'S' },
      ...(hasRange ? [{ AttributeName: 'sk', AttributeType: 'N' }] : []),
      ...(isIndexed
        ? [
            { AttributeName: 'g', AttributeType: 'S' },
            { AttributeName: 'h', AttributeType: 'N' },
          ]
        : []),
    ],
    ...(global.length > 0 ? { GlobalSecondaryIndexes: global } : {}),
    ...(local.length > 0 ? { LocalSecondaryIndexes: local } : {}),
    KeySchema: [
      { AttributeName: 'pk', KeyType: 'HASH' },
      ...(hasRange ? [{ AttributeName: 'sk', KeyType: 'RANGE' }] : []),
    ],
    BillingMode: 'PAY_PER_REQUEST',
    StreamSpecification: { StreamEnabled: true, StreamViewType: view },
  })
  if (message !== undefined) throw new Error(message)
  const { LatestStreamArn } = body.TableDescription as { LatestStreamArn: string }
  const table = new ModelTable(name, hasRange, indexes)
  const run = new Run(backend, table, new Random(seed))
  for (const step of steps) await run.take(step)
  await run.take({ do: 'scan', segments: 1 })
  for (const index of indexes.keys()) await run.take({ do: 'index', index, reverse: false })
  await checkStream(backend, table, { StreamArn: LatestStreamArn, view, Limit: 1 + (seed % 7) })
}
