import type { DaemonProcess } from '../daemon-process.js'

type Found = Record<string, Record<string, string>>

/** Where an index that holds all of an item and its table differ; `attribute` is the index's only key. */
export async function indexFaults(
  daemon: DaemonProcess,
  table: string,
  index: string,
  attribute: string,
): Promise<string[]> {
  const items = (await scanAll(daemon, { TableName: table, ConsistentRead: true })).filter((item) => item[attribute]?.S)
  const entries = await scanAll(daemon, { TableName: table, IndexName: index })
  const text = (found: Found) => JSON.stringify(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)))
  const inTable = new Set(items.map(text))
  const inIndex = new Set(entries.map(text))
  return [
    ...[...inTable].filter((item) => !inIndex.has(item)).map((item) => `${item.slice(0, 200)} is not in the index`),
    ...[...inIndex].filter((item) => !inTable.has(item)).map((item) => `${item.slice(0, 200)} is only in the index`),
    ...(entries.length === inIndex.size ? [] : ['an item is in the index twice']),
  ]
}

export async function scanAll(daemon: DaemonProcess, input: object): Promise<Found[]> {
  const found: Found[] = []
  let ExclusiveStartKey: object | undefined
  do {
    const page: { Items: Found[]; LastEvaluatedKey?: object } = await daemon.aws('Scan', {
      ...input,
      ExclusiveStartKey,
    })
    found.push(...page.Items)
    ExclusiveStartKey = page.LastEvaluatedKey
  } while (ExclusiveStartKey)
  return found
}
