import { Random } from '../../simulation/random.js'
import type { Backend } from './backend.js'
import { Run } from './run.js'
import type { Step } from './steps.js'
import { checkStream, type View } from './stream.js'
import { ModelTable } from './table.js'

/** Makes a table, takes the steps on it and on the model, and reads its stream at the end. */
export async function runSteps(
  backend: Backend,
  {
    name = 'model',
    hasRange,
    steps,
    view,
    seed,
  }: { name?: string; hasRange: boolean; steps: readonly Step[]; view: View; seed: number },
): Promise<void> {
  const { body, message } = await backend.ask('CreateTable', {
    TableName: name,
    AttributeDefinitions: [
      { AttributeName: 'pk', AttributeType: 'S' },
      ...(hasRange ? [{ AttributeName: 'sk', AttributeType: 'N' }] : []),
    ],
    KeySchema: [
      { AttributeName: 'pk', KeyType: 'HASH' },
      ...(hasRange ? [{ AttributeName: 'sk', KeyType: 'RANGE' }] : []),
    ],
    BillingMode: 'PAY_PER_REQUEST',
    StreamSpecification: { StreamEnabled: true, StreamViewType: view },
  })
  if (message !== undefined) throw new Error(message)
  const { LatestStreamArn } = body.TableDescription as { LatestStreamArn: string }
  const table = new ModelTable(name, hasRange)
  const run = new Run(backend, table, new Random(seed))
  for (const step of steps) await run.take(step)
  await run.take({ do: 'scan', segments: 1 })
  await checkStream(backend, table, { StreamArn: LatestStreamArn, view, Limit: 1 + (seed % 7) })
}
