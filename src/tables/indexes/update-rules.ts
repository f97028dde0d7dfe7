import { withBackfill, withoutBackfill, withRemoval } from '../catalogue/backfill.js'
import type { TableRow } from '../catalogue/table-row.js'
import { type Definition, refuseUndefined } from '../control/key-schema.js'
import { inUse, limitExceeded, notFound, validation } from '../requests/aws-error.js'
import type { KeyAttribute, KeyType } from '../values/index.js'
import { backfillOf, globalIndexes, globalIndexesMax, type Index, isFilling } from './definition.js'
import type { IndexChange } from './describe.js'
import { keyAttributesOfTable } from './describe.js'
import { indexPrefix } from './entry.js'
import type { WantedIndex } from './index-request.js'
import { globalIndexOf, refuseTooManyIncluded } from './index-rules.js'
import { type Billing, refuseBlocked, withThroughputs } from './throughput.js'
import type { IndexAction, IndexUpdates } from './update-request.js'

/** What an UpdateTable asks for beside its indexes, as far as these depend on it. */
export interface UpdateContext {
  /** How the table is paid after it. */
  readonly billing: Billing
}

export interface UpdatedIndexes {
  readonly row: TableRow
  readonly changes: readonly IndexChange[]
}

/**
 * A table's row with its global indexes as they are wanted: a new one is maintained by every write from then on, and filled
 * with the items that there are by its backfill. Pure; the caller stores the row, and wakes the backfills. Throws in AWS's
 * order.
 */
export function updateIndexes(before: TableRow, updates: IndexUpdates, { billing }: UpdateContext): UpdatedIndexes {
  const { actions } = updates
  for (const action of actions) if (action.kind === 'update') refuseBlocked(action.wanted)
  const switches = billing !== before.billing
  if (actions.filter(({ kind }) => kind !== 'update').length > 1) throw onlyOne()
  for (const action of actions) checkName(before, action)
  if (switches && billing === 'PROVISIONED') refuseWithoutThroughput(before, actions)
  let row = switches ? withBilling(before, billing) : before
  const changes: IndexChange[] = []
  for (const action of actions) {
    const index = globalIndexes(row).find(({ name }) => name === action.name)
    if (action.kind === 'create') {
      const created = create(row, action.index, updates.definitions, billing)
      row = created.row
      changes.push({ status: 'CREATING', index: created.index })
    } else if (action.kind === 'delete') {
      row = remove(row, index as Index)
      changes.push({ status: 'DELETING', index: index as Index })
    } else {
      const updated = withThroughputs(index as Index, action.wanted, billing, switches)
      row = { ...row, indexes: (row.indexes ?? []).map((each) => (each.id === updated.id ? updated : each)) }
      changes.push({ status: 'UPDATING', index: switches ? updated : (index as Index) })
    }
  }
  return { row, changes }
}

const onlyOne = (): Error =>
  limitExceeded('Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table')

/** Whether an index of that name can be made, changed or taken off. */
function checkName(row: TableRow, { kind, name }: IndexAction): void {
  const index = row.indexes?.find((each) => each.name === name)
  const filling = row.indexes?.find((each) => isFilling(row, each))
  if (kind === 'create') {
    if (index && index === filling)
      throw inUse(
        `Attempt to change a resource which is still in use: Index is being created. Table: ${row.name} Index: ${name}`,
      )
    if (index) throw validation('Attempting to create an index which already exists')
    if (filling) throw onlyOne()
    return
  }
  if (index?.kind === 'local') throw validation(`Cannot ${kind} an index that is not a GlobalSecondaryIndex: ${name}`)
  if (!index) throw notFound(`Requested resource not found: Index ${name} for table ${row.name}`)
  if (kind === 'update' && index === filling)
    throw inUse(
      `Attempt to change a resource which is still in use: Index is being created. Table: ${row.name} Index: ${name}`,
    )
  if (kind === 'delete' && filling && filling !== index) throw onlyOne()
}

function refuseWithoutThroughput(row: TableRow, actions: readonly IndexAction[]): void {
  const given = new Set(actions.map(({ name }) => name))
  const without = globalIndexes(row).filter(({ name }) => !given.has(name))
  if (without.length === 0) return
  throw validation(
    'One or more parameter values were invalid: ProvisionedThroughput must be specified for index: ' +
      without.map(({ name }) => name).join(','),
  )
}

/** As the indexes are when their table is paid another way: limits of the old one go. */
function withBilling(row: TableRow, billing: Billing): TableRow {
  if (!row.indexes) return row
  const indexes = row.indexes.map((index) => {
    if (index.kind === 'local') return index
    const { onDemand: _, ...rest } = index
    return billing === 'PAY_PER_REQUEST' ? { ...rest, throughput: { read: 0, write: 0 } } : rest
  })
  return { ...row, indexes }
}

function create(
  row: TableRow,
  wanted: WantedIndex,
  definitions: readonly Definition[] | undefined,
  billing: Billing,
): { row: TableRow; index: Index } {
  if (globalIndexes(row).length >= globalIndexesMax) {
    throw limitExceeded(
      `Subscriber limit exceeded: Number of global secondary indexes exceeds per-table limit of ${globalIndexesMax}`,
    )
  }
  if (!definitions) {
    throw validation(
      `One or more parameter values were invalid: AttributeDefinitions is not specified for index: ${wanted.name}`,
    )
  }
  const id = row.nextIndex ?? 1
  const index: Index = { ...globalIndexOf(wanted, typesFor(row, wanted, definitions), billing, true), id }
  const indexes = [...(row.indexes ?? []), index]
  refuseTooManyIncluded(indexes)
  return { row: withBackfill({ ...row, indexes, nextIndex: id + 1 }, backfillOf(index)), index }
}

/** The types of an index's attributes: a new one must be defined, a known one may not be defined otherwise. */
function typesFor(row: TableRow, wanted: WantedIndex, definitions: readonly Definition[]): Map<string, KeyType> {
  const known = keyAttributesOfTable(row)
  const merged = new Map<string, Definition>()
  for (const { name, type } of known) merged.set(name, { AttributeName: name, AttributeType: type })
  for (const definition of definitions) merged.set(definition.AttributeName, definition)
  const names = wanted.elements.map(({ AttributeName }) => AttributeName)
  refuseUndefined(names, [...merged.values()])
  for (const name of names) {
    const before = known.find((attribute) => attribute.name === name)
    const now = merged.get(name) as Definition
    if (before && before.type !== now.AttributeType) throw redefined(row, before, wanted, merged)
  }
  return new Map([...merged.values()].map(({ AttributeName, AttributeType }) => [AttributeName, AttributeType]))
}

function redefined(
  row: TableRow,
  attribute: KeyAttribute,
  wanted: WantedIndex,
  types: ReadonlyMap<string, Definition>,
): Error {
  const element = (name: string, type: string | undefined, role: string) =>
    `SchemaElement: key{${name}:${type}:${role}}`
  const { hash, range } = row.schema
  const schemas = [
    { hash: [hash], range: range ? [range] : [] },
    ...(row.indexes ?? []).map((index) => ({ hash: index.hash, range: index.range })),
  ]
  const existing = schemas.find((schema) =>
    [...schema.hash, ...schema.range].some(({ name }) => name === attribute.name),
  ) as (typeof schemas)[number]
  const shown = [
    ...existing.hash.map(({ name, type }) => element(name, type, 'HASH')),
    ...existing.range.map(({ name, type }) => element(name, type, 'RANGE')),
  ]
  const made = wanted.elements.map(({ AttributeName: name, KeyType: role }) =>
    element(name, types.get(name)?.AttributeType, role),
  )
  return validation(
    'One or more parameter values were invalid: Attributes cannot be redefined. ' +
      'Please check that your attribute has the same type as previously defined. ' +
      `Existing schema: Schema:[${shown.join(', ')}] New schema: Schema:[${made.join(', ')}]`,
  )
}

function remove(row: TableRow, index: Index): TableRow {
  const indexes = (row.indexes ?? []).filter((each) => each.id !== index.id)
  const { indexes: _, ...rest } = withoutBackfill(withRemoval(row, indexPrefix(row.id, index.id)), backfillOf(index))
  return indexes.length > 0 ? { ...rest, indexes } : rest
}
